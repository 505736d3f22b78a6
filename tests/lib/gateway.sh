# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# nginx_start SITE: a real nginx in a folder of its own, as whoever we are, with
# what stands in SITE inside of its http block.  Its words: $work/nginx/log.

nginx_start() {
	mkdir -p "$work/nginx"
	cat >"$work/nginx/conf" <<EOF
daemon off;
worker_processes 1;
pid $work/nginx/pid;
error_log $work/nginx/log;
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
events { worker_connections 200; }
http {
	access_log off;
	client_body_temp_path $work/nginx/body;
	proxy_temp_path $work/nginx/proxy;
	fastcgi_temp_path $work/nginx/fastcgi;
	uwsgi_temp_path $work/nginx/uwsgi;
	scgi_temp_path $work/nginx/scgi;
	include $1;
}
EOF
	nginx -c "$work/nginx/conf" -e "$work/nginx/log" >"$work/nginx/out" 2>&1 </dev/null &
	started+=("$!")
}
