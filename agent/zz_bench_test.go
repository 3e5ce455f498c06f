package agent
import ("testing";"context";"fmt";"time";"sort"
"github.com/selfware/selfware/link";"github.com/selfware/selfware/runner")
type bl struct{ got chan link.Up; downs chan link.Down }
func (b bl) Send(u link.Up) error { if len(u.Events)>0 {b.got<-u}; return nil }
func (b bl) Recv() (link.Down, error) { return <-b.downs, nil }
func (b bl) Close() error { select{case b.downs<-link.Down{}: default:}; return nil }
func BenchmarkExit(b *testing.B){
 n:=&notes{events: make(chan Event,10)}
 l:=bl{make(chan link.Up,10), make(chan link.Down,10)}
 a,_:=New(Config{Node: link.Node{ID:"i",Name:"n"},Runner:n,Dial:func(context.Context)(link.Link,error){return l,nil}})
 ctx,c:=context.WithCancel(context.Background()); defer c()
 go a.Run(ctx)
 l.downs<-link.Down{Term:1,Index:1,Full:true}
 time.Sleep(50*time.Millisecond)
 var ds []time.Duration
 for i:=0;i<b.N;i++{ k:=fmt.Sprintf("p%d@%d",i%500,i+1); t0:=time.Now(); n.events<-Event{Key:k,Kind:runner.Exited,Code:1}; u:=<-l.got; ds=append(ds,time.Since(t0)); l.downs<-link.Down{Term:1,Index:1,Ack:u.Seq}
  if i%16==0 {time.Sleep(time.Millisecond)} }
 sort.Slice(ds,func(i,j int)bool{return ds[i]<ds[j]})
 b.ReportMetric(float64(ds[len(ds)/2].Nanoseconds()),"p50ns"); b.ReportMetric(float64(ds[len(ds)*99/100].Nanoseconds()),"p99ns")
}
