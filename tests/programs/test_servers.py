# SPDX-License-Identifier: Apache-2.0
"""Servers and their clients on the loopback interface of one sandbox."""

WAIT = r"""
    up() { for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null && return 0; sleep 0.05; done; return 1; }
    ip link set lo up 2>/dev/null || true
"""


def test_openssl_server_and_client(sandbox):
    out = sandbox(WAIT + r"""
        openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=localhost 2>/dev/null
        openssl s_server -quiet -accept 4433 -key k.pem -cert c.pem -www > server.log 2>&1 &
        up 4433 && printf 'GET / HTTP/1.0\r\n\r\n' | timeout 30 openssl s_client -quiet -connect 127.0.0.1:4433 -CAfile c.pem 2>/dev/null | grep -c 'TLSv1.3'
        kill %1""").out
    assert int(out.split()[0]) >= 1


def test_curl_fetches_from_a_python_server(sandbox):
    out = sandbox(WAIT + r"""
        head -c 3000000 /usr/bin/perl > blob
        python3 -m http.server 8080 --bind 127.0.0.1 > server.log 2>&1 & up 8080
        curl -sS http://127.0.0.1:8080/blob | cmp - blob && echo same
        curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:8080/none; kill %1""").out
    assert out.split() == ["same", "404"]


def test_redis_serves_its_benchmark(sandbox):
    out = sandbox(WAIT + r"""
        redis-server --port 6379 --save '' --daemonize no > server.log 2>&1 & up 6379
        redis-cli set a 1; redis-cli incr a; redis-cli get a
        redis-benchmark -q -n 2000 -c 20 -t set,get,lpush > bench.log 2>&1; tr '\r' '\n' < bench.log | grep -c 'requests per second, p50'
        redis-cli shutdown nosave; wait""", timeout=300).out.split()
    assert out[:3] == ["OK", "2", "2"] and int(out[3]) >= 3


def test_nginx_under_wrk(sandbox):
    out = sandbox(WAIT + r"""
        mkdir -p www && echo hello > www/index.html
        cat > nginx.conf <<'E'
        daemon off; pid /run/nginx.pid; error_log /work/error.log; worker_processes 2; user root;
        events { worker_connections 256; }
        http { access_log off; server { listen 127.0.0.1:8081; root /work/www; } }
E
        nginx -c /work/nginx.conf & up 8081
        curl -s http://127.0.0.1:8081/; wrk -t 2 -c 16 -d 2 http://127.0.0.1:8081/ > wrk.log; grep -c 'Requests/sec' wrk.log
        grep -c 'Socket errors' wrk.log; kill %1; wait""").out.split()
    assert out == ["hello", "1", "0"]
