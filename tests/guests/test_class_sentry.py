# SPDX-License-Identifier: Apache-2.0
"""Class sentry where the host's tests cannot show it: a processor without RDPID, a core_pattern that may be changed."""

SENTRY = "build/bin/caisson --isolation sentry do -- "


def test_it_runs_on_a_processor_without_rdpid(guest):
    done = guest("--cpu", "max,-rdpid", script=f"grep -cw rdpid /proc/cpuinfo; {SENTRY} sh -c 'exit 5'")
    assert (done.code, done.out) == (5, "0\n"), done


def test_the_hosts_handler_of_cores_is_not_called(guest):
    done = guest(script=r"""
echo 'int main(void) { return *(volatile int *)0; }' | gcc -xc -o /opt/crash - && cd /opt &&
printf '#!/bin/sh\necho $1 >>/opt/called\n' >handler && chmod 755 handler && touch called &&
echo '|/opt/handler %e' >/proc/sys/kernel/core_pattern && echo 1 >/proc/sys/kernel/core_pipe_limit && cd /src
/opt/crash; echo $?
cat /opt/called; echo =""" + f"""
{SENTRY} /opt/crash; echo $?
cat /opt/called""")
    outside, inside = done.out.split("=\n")
    # With core_pipe_limit the kernel waits for the handler's end.
    assert outside == "139\ncrash\n" and inside == "139\ncrash\n", done
