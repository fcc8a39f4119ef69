#!/bin/sh
# A worker in curl and sh: worker.sh http://127.0.0.1:8080 KIND
# The input says what to do with a job: {"do":"work"}, {"do":"wait"} until it is
# cancelled, or {"do":"stall"}: be silent until the lease is lost.
hub=$1 kind=$2 ending=

post() { curl -sS -X POST -H 'Content-Type: application/json' --data-binary "$2" "$hub$1"; }
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

register() {
	answer=$(post /v1/workers '{"name":"curl","kinds":["'"$kind"'"],"slots":1}')
	worker=$(printf %s "$answer" | member worker_id)
	beat=$(printf %s "$answer" | member beat) # longer than this a worker must not be silent
}

heed() { case $answer in *'"directive":"terminate"'*) ending=yes ;; esac; }

renew() {
	answer=$(post "/v1/workers/$worker/beat" '{"leases":["'"$lease"'"],"wait":"'"$1"'"}')
	heed
}

work() {
	post "/v1/leases/$lease/events" '{"n":1,"type":"progress","percent":50,"message":"half way"}
{"n":2,"type":"output","text":"hello from curl\n"}' >&2
	renew 0s
	post "/v1/leases/$lease/complete" '{"result":{"by":"curl"}}' >&2
}

wait_for_cancel() {
	post "/v1/leases/$lease/events" '{"n":1,"type":"progress","message":"waiting"}' >&2
	while :; do
		renew "$beat"
		case $answer in
		*'"cancel"'*) post "/v1/leases/$lease/fail" '{"error":{"title":"Stopped"},"retry":"never"}' >&2; return ;;
		*'"lost"'*) return ;;
		esac
	done
}

poll() {
	answer=$(post "/v1/workers/$worker/lease" '{"max":1,"wait":"20s"}')
	heed
}

stall() {
	post "/v1/leases/$lease/events" '{"n":1,"type":"checkpoint","data":{"stalled":true}}' >&2
	until poll; case $answer in *'"'"$lease"'":"lost"'*) ;; *) false ;; esac; do :; done
	printf 'late: %s\n' "$(curl -sS -w ' %{http_code}' -X POST "$hub/v1/leases/$lease/complete" | tr -d '\n')"
}

register
while [ -z "$ending" ]; do
	poll
	lease=$(printf %s "$answer" | member lease)
	case $answer in
	*'"code":"not_found"'*) register ;;
	*'"do":"wait"'*) wait_for_cancel ;;
	*'"do":"stall"'*'"checkpoint":null'*) stall ;;
	*'"lease":'*) work ;;
	esac
done
curl -sS -X DELETE "$hub/v1/workers/$worker"
