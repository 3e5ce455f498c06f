// Package history is what a run of jepsen-lite leaves behind: streams of facts,
// one JSON value a line, each stamped with CLOCK_MONOTONIC, which all processes of
// one machine share. All judgement is made from these files alone, so an old run
// can be judged again.
//
//	run.json         Run     what was asked for, and the phases of the run
//	history.jsonl    Op      H: what clients asked and were answered
//	nemesis.jsonl    Fault   N: the faults, with the traces that they left
//	witness.jsonl    Beat    W: the lives of children, as they told it themselves
//	fenced.jsonl     Attempt F: attempts at registers that check epochs
//	events.jsonl     Seen    X: what subscribers of the event stream saw
//	resources.jsonl  Sample  R: what node processes used
//	log.json         Log     L: the raft logs, read from the data dirs afterwards
//
// # Guarantees
//
//   - A stream is written by one writer, line by line; a run that was cut short
//     leaves whole lines and perhaps one part of a line, which is refused when it
//     is read.
//   - Times are comparable over all streams of a run, and over nothing else.
package history
