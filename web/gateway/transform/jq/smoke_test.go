package jq
import ("testing";"context";"fmt")
func TestSmoke(t *testing.T){
 doc:=`{"order": {"total":1.10, "id":9007199254740993, "x":[ ], "e":1e400,"n":-0,"s":"caf\u00e9","t":"a b c"}, "b":[3,1,2]}`
 for _,p:=range []string{".",".order|{id,total}",".order","{data:.}","del(.order.x)",".b|sort",".order.s",".b[1]",".b[1:]", ".order.total += 1", ".order.e+0","{v:1.10}", ".b[.b[1]]", ".order.t|gsub(\" \";\"_\")", ".order.t|[match(\"[a-c]\";\"g\")|.offset]", ".b|map(.*2)", "map_values(length)", `"\(.order.total)-\(.b)"`, ".b|index(1)", ".b-[1]", `.order.t|split(" ")|join("-")`, ".b|add", "walk(if type==\"number\" then tostring else . end)", "to_entries|map(.key)", ".b[5]=1", ".b|=map(.+1)", ".order|keys", "[.. | numbers]", "with_entries(.key|=ascii_upcase)", `.order.t | sub("(?<x>b)";"<\(.x)>")`, `.order|[.id,.total]|@json`, "[splits(\",\")]?", "pick(.order.id)", ".b|group_by(.>1)", ".missing //= 1", "[limit(2;.b[])]", "reduce .b[] as $x (0;.+$x)", `"1.10"|tonumber`, ". as {order:{id:$i}} | $i", "-.order.total", ".a.b.c=1", "getpath([\"order\",\"id\"])", "[paths]", "input", "[range(1e9)]", "def f: f; f", `"x"*1e9`, ".[500000000]=1", "now|type", "1,2","empty","env", "$ENV.HOME", "debug", "reduce range(60) as $i (1;[.,.])", "reduce range(60) as $i (1;[.,.])|tojson", "reduce range(60) as $i (\"x\";.+.)", "reduce range(99) as $i (3;.*.)", "test(.a)", "import \"a\" as a; .", "{a:1"} {
  pr,err:=Compile(p); if err!=nil {fmt.Println(p,"=> COMPILE",err); continue}
  out,err:=pr.Run(context.Background(),[]byte(doc),1<<20)
  fmt.Println(p,"=>",string(out),err)
 }
}
