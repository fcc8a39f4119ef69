# Functions that gojq defines in jq, defined again here so that what they call is guarded, too.
# Names with a colon are functions of this package (guards.go, regex.go); the rewriter adds it:
# in this file they begin with hub_.

def keys_unsorted: hub_names;
def to_entries: [keys_unsorted[] as $k | {key: $k, value: .[$k]}];
def with_entries(f): to_entries | map(f) | from_entries;
def add(f): [f] | add;
def map_values(f): .[] |= f;
def walk(f): def w: if type == "array" then map(w) elif type == "object" then map_values(w) else . end | f; w;
def del(f): delpaths([path(f)]);
def pick(f): . as $v | reduce path(f) as $p (null; setpath($p; $v | getpath($p)));
def fromstream(f):
  foreach f as $pv (
    null;
    if .e then null else . end |
    $pv as [$p, $v] |
    if $pv | length == 2 then
      setpath(["v"] + $p; $v) | setpath(["e"]; $p | length == 0)
    else
      setpath(["e"]; $p | length == 1)
    end;
    if .e then .v else empty end
  );
def nth($n): .[$n];

def min_by(f): _min_by(map([f] | hub_walk));
def max_by(f): _max_by(map([f] | hub_walk));
def sort_by(f): _sort_by(map([f] | hub_walk));
def group_by(f): _group_by(map([f] | hub_walk));
def unique_by(f): _unique_by(map([f] | hub_walk));

def INDEX(stream; idx_expr): reduce stream as $row ({}; .[$row | idx_expr | tostring] = $row);
def INDEX(idx_expr): INDEX(.[]; idx_expr);
def JOIN($idx; idx_expr): [.[] | [., $idx[idx_expr]]];
def JOIN($idx; stream; idx_expr): stream | [., $idx[idx_expr]];
def JOIN($idx; stream; idx_expr; join_expr): stream | [., $idx[idx_expr]] | join_expr;
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);

def match($re; $flags): hub_match($re; $flags)[];
def match($re): if $re | type == "array" then match($re[0]; $re[1]) else match($re; null) end;
def test($re; $flags): hub_test($re; $flags);
def test($re): if $re | type == "array" then test($re[0]; $re[1]) else test($re; null) end;
def capture($re; $flags): match($re; $flags) | .captures | _captures;
def capture($re): match($re) | .captures | _captures;
def scan($re; $flags): match($re; $flags + "g") | if .captures == [] then .string else [.captures[].string] end;
def scan($re): scan($re; null);
def splits($re; $flags): hub_split($re; $flags)[];
def splits($re): splits($re; null);
def split($re; $flags): hub_split($re; $flags);
def sub($re; str; $flags): hub_pieces($re; $flags) as $pieces | hub_replace($pieces; [$pieces[0][] | .captures | [str]])[];
def sub($re; str): sub($re; str; null);
def gsub($re; str; $flags): sub($re; str; $flags + "g");
def gsub($re; str): sub($re; str; "g");
