#!/bin/sh
# Fills nginx.conf.template in and becomes NGINX. Every name in the template must get a value: from the environment, or
# what it is in a pod beside the functions, in the namespace that NAMESPACE names. $1 is another file for the outcome.
set -eu
cd "$(dirname "$0")"

refuse() { echo "gateway: $*" >&2; exit 1; }

: "${GATEWAY_LISTEN:=8080}"
: "${RESOLVER:=$(sed -n 's/^nameserver[[:space:]]*//p' /etc/resolv.conf | head -n 1)}"
case $RESOLVER in \[*) ;; *:*:*) RESOLVER="[$RESOLVER]" ;; esac  # IPv6, as NGINX writes it
: "${MAX_BODY_BYTES:=$((${MAX_UPLOAD_BYTES:-2147483648} + 65536))}"  # a multipart body is so much longer than its file
for function in AUTH UPLOAD DOWNLOAD; do
    name=$(echo "$function" | tr '[:upper:]' '[:lower:]')
    eval ": \${${function}_UPSTREAM:=${NAMESPACE:+$name.$NAMESPACE.svc.cluster.local}} \${${function}_HOST:=\$${function}_UPSTREAM}"
done

script=""
for name in $(grep -o '\${[A-Z_]*}' nginx.conf.template | sort -u | tr -d '${}'); do
    eval "value=\${$name:-}"
    [ -n "$value" ] || refuse "$name is not set, nor is NAMESPACE"
    case $value in *[!A-Za-z0-9.:_[\]-]*) refuse "$name has a character that no address has" ;; esac
    script="$script;s|\${$name}|$value|g"
done
sed "$script" nginx.conf.template > "${1:-/tmp/server.conf}"
exec nginx -c "$PWD/nginx.conf" -e stderr
