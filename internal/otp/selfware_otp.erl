%% Runs traces against OTP's own supervisor on a virtual clock. The supervisor is
%% supervisor_vt, made of the installed source: its clock is now_s/0 here, all else
%% is as it was. Talks with package otp over stdin and stdout, in packets: a packet
%% of traces is answered by one of answers; wire.go has their format.
-module(selfware_otp).
-export([main/0, init/1, start_worker/1, worker/2, now_s/0]).

-define(END, 0).
-define(STARTED, 1).
-define(STOPPED, 2).
-define(DEAD, 3).
-define(ABSENT, 4).
-define(FAILED, 5).

now_s() -> atomics:get(persistent_term:get(clock), 1).

main() ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    register(collector, self()),
    persistent_term:put(clock, atomics:new(1, [])),
    persistent_term:put(fails, atomics:new(256, [])),
    serve(open_port({fd, 0, 1}, [binary, {packet, 4}, eof])).

serve(Port) ->
    receive
        {Port, {data, Batch}} ->
            true = port_command(Port, [answer(T) || <<N:16, T:N/binary>> <= Batch]),
            serve(Port);
        {Port, eof} ->
            halt(0)
    end.

answer(Trace) ->
    A = iolist_to_binary(run(Trace)),
    <<(byte_size(A)):16, A/binary>>.

%% run does one trace: a tree, and ends of its workers.
run(Trace) ->
    atomics:put(persistent_term:get(clock), 1, 0),
    {Root, _, Chains, Steps} = parse_sup(Trace, 0, 1, []),
    {ok, Pid} = apply(supervisor_vt, start_link, [?MODULE, Root]),
    Live0 = #{},
    {Out, Live} = drain(Live0),
    All = [Out, ?END | steps(Steps, Chains, Live)],
    M = monitor(process, Pid),
    exit(Pid, shutdown),
    receive {'DOWN', M, process, Pid, _} -> ok end,
    receive {'EXIT', Pid, _} -> ok end,
    _ = drain(#{}),
    All.

%% parse_sup reads a supervisor. Children are numbered in start order, the root is 0.
%% Chains has, for each worker, the supervisors above it, the nearest first.
parse_sup(<<Strategy, Intensity, Period, Auto, N, Rest/binary>>, Id, Next, Above) ->
    Flags = #{strategy => strategy(Strategy), intensity => Intensity, period => Period, auto_shutdown => auto_shutdown(Auto)},
    {Specs, Next1, Chains, Rest1} = parse_children(N, Rest, Next, [Id | Above], [], #{}),
    {{Id, maps:keys(Chains), Flags, Specs}, Next1, Chains, Rest1}.

parse_children(0, Rest, Next, _, Specs, Chains) ->
    {lists:reverse(Specs), Next, Chains, Rest};
parse_children(N, <<0, Restart, Significant, Rest/binary>>, Id, Above, Specs, Chains) ->
    Spec = #{id => Id, start => {?MODULE, start_worker, [Id]}, restart => restart(Restart),
             significant => Significant =:= 1, shutdown => 5000},
    parse_children(N - 1, Rest, Id + 1, Above, [Spec | Specs], Chains#{Id => Above});
parse_children(N, <<1, Restart, Significant, Rest/binary>>, Id, Above, Specs, Chains) ->
    {Sup, Next, Below, Rest1} = parse_sup(Rest, Id, Id + 1, Above),
    Spec = #{id => Id, start => {supervisor_vt, start_link, [?MODULE, Sup]}, restart => restart(Restart),
             significant => Significant =:= 1, shutdown => infinity, type => supervisor},
    parse_children(N - 1, Rest1, Next, Above, [Spec | Specs], maps:merge(Chains, Below)).

strategy(0) -> one_for_one;
strategy(1) -> one_for_all;
strategy(2) -> rest_for_one.

restart(0) -> permanent;
restart(1) -> transient;
restart(2) -> temporary.

auto_shutdown(0) -> never;
auto_shutdown(1) -> any_significant;
auto_shutdown(2) -> all_significant.

reason(0) -> crash;
reason(1) -> normal;
reason(2) -> shutdown.

%% A supervisor that begins, begins with workers that can be started.
init({Id, Workers, Flags, Specs}) ->
    collector ! {sup, Id, self()},
    [atomics:put(persistent_term:get(fails), W, 0) || W <- Workers],
    {ok, {Flags, Specs}}.

start_worker(Id) ->
    Fails = persistent_term:get(fails),
    case atomics:get(Fails, Id) of
        0 -> proc_lib:start_link(?MODULE, worker, [self(), Id]);
        _ -> atomics:sub(Fails, Id, 1), collector ! {failed, Id}, {error, not_now}
    end.

worker(Parent, Id) ->
    process_flag(trap_exit, true),
    collector ! {started, Id, self()},
    proc_lib:init_ack(Parent, {ok, self()}),
    receive
        {'EXIT', Parent, Why} -> collector ! {stopped, Id}, exit(Why);
        {die, Why} -> exit(Why)
    end.

%% drain takes what was seen, and keeps who is who.
drain(Live) -> drain(Live, []).
drain(Live, Out) ->
    receive
        {started, Id, Pid} -> drain(Live#{Id => Pid}, [Out, ?STARTED, Id]);
        {failed, Id} -> drain(Live, [Out, ?FAILED, Id]);
        {stopped, Id} -> drain(maps:remove(Id, Live), [Out, ?STOPPED, Id]);
        {sup, Id, Pid} -> drain(Live#{{sup, Id} => Pid}, Out)
    after 0 -> {Out, Live}
    end.

steps(<<>>, _, _) -> [];
steps(<<Dt, Id, Why, Fails, Rest/binary>>, Chains, Live) ->
    Clock = persistent_term:get(clock),
    atomics:add(Clock, 1, Dt),
    case Live of
        #{Id := Pid} ->
            Left = persistent_term:get(fails),
            [atomics:put(Left, W, 0) || W <- maps:keys(Chains)],
            atomics:put(Left, Id, Fails),
            Pid ! {die, reason(Why)},
            State = settled(maps:get(Id, Chains), Pid, Live),
            {Out, Live1} = drain(maps:remove(Id, Live)),
            case State of
                dead -> [Out, ?DEAD];
                alive -> [Out, ?END | steps(Rest, Chains, Live1)]
            end;
        _ -> [?ABSENT, ?END | steps(Rest, Chains, Live)]
    end.

%% settled waits until the supervisor of Dead has dealt with its death, or has died of
%% it and its own supervisor has dealt with that.
settled([], _, _) -> dead;
settled([S | Up] = All, Dead, Live) ->
    Sup = maps:get({sup, S}, Live),
    case catch supervisor_vt:which_children(Sup) of
        Children when is_list(Children) ->
            case [P || {_, P, _, _} <- Children, P =:= Dead orelse P =:= restarting] of
                [] -> alive;
                _ -> settled(All, Dead, Live)
            end;
        _ -> settled(Up, Sup, Live)
    end.
