# SPDX-License-Identifier: Apache-2.0
"""Shells, coreutils and their kin, archives, version control, languages."""


def test_dash_pipes_functions_and_traps(sandbox):
    out = sandbox("""exec dash -c '
        f() { echo "f $1"; return 3; }
        f x; echo $?
        trap "echo bye" EXIT
        seq 1 100 | while read n; do echo $((n * 2)); done | tail -n 1
        (exit 7); echo $?
        kill -0 $$ && echo alive'
        """).out
    assert out == "f x\n3\n200\n7\nalive\nbye\n"


def test_bash_runs_pipelines_substitutions_and_here_documents(sandbox):
    out = sandbox(r"""
        x=$(for i in $(seq 50); do echo $i; done | grep -c 1); echo $x
        cat <<E | tr a-z A-Z
        here $((6 * 7))
E
        diff <(printf '1\n2\n') <(printf '1\n3\n') | head -n 1
        declare -A m=([a]=1 [b]=2); echo ${m[b]}
        printf '%s\n' one two three | mapfile -t lines; wc -c < /etc/hostname >/dev/null; echo done""").out
    assert out.split() == ["14", "HERE", "42", "2c2", "2", "done"]


def test_bash_job_control_on_a_terminal_of_script(sandbox):
    out = sandbox(r"""
        cat > job.sh <<'E'
        set -m
        sleep 100 & first=$!
        kill -STOP %1; sleep 0.2; jobs
        bg %1 >/dev/null; sleep 0.2; jobs
        kill %1; wait $first; echo "status $?"
        (sleep 0.1; exit 5) & wait $!; echo "status $?"
E
        python3 - <<'E'
import os, pty, sys
out = []
def read(fd):
    data = os.read(fd, 4096); out.append(data); return data
status = pty.spawn(['/bin/bash', 'job.sh'], read)
sys.exit(os.waitstatus_to_exitcode(status))
E""").out
    assert "Stopped" in out and "Running" in out and "status 143" in out and "status 5" in out


def test_coreutils_over_many_files(sandbox):
    out = sandbox("""
        mkdir -p d/{1..20} && for i in d/*; do for j in $(seq 20); do echo $j > $i/f$j; done; done
        find d -type f | wc -l; cat d/*/f7 | sort -u; du -s d > /dev/null; cp -a d e && diff -r d e && echo same
        ls -l e/3 | wc -l; rm -r d/1; ls d | wc -l; mv e/2 d/1; stat -c %s d/1/f10; chmod 600 d/1/f1
        stat -c %a d/1/f1; ln -s f1 d/1/l; readlink d/1/l; ln d/1/f2 d/1/h; stat -c %h d/1/h; touch -d 2001-02-03 d/1/f3
        stat -c %y d/1/f3 | cut -c1-10; sort -R d/1/f* | sort -n | tail -n 1; dd if=/dev/zero bs=4k count=256 2>/dev/null | wc -c
        sha256sum < /dev/null | cut -c1-8; split -n 4 /usr/bin/bash part. && cat part.* | cmp - /usr/bin/bash && echo cmp
        truncate -s 1M sparse && du sparse | cut -f1; install -m 755 part.aa x && test -x x && echo installed; id -u; tty; true""").out
    assert out.split() == ["400", "7", "same", "21", "19", "3", "600", "f1", "2", "2001-02-03", "20", "1048576",
                           "e3b0c442", "cmp", "0", "installed", "0", "not", "a", "tty"]


def test_find_grep_sed_and_awk(sandbox):
    out = sandbox(r"""
        find /usr/share/perl /usr/lib/python3.11 -name '*.p[ly]' | wc -l
        grep -rl 'import os' /usr/lib/python3.11 | wc -l
        sed -n 's/^root:\([^:]*\):.*/\1/p' /etc/passwd
        awk -F: '{ n += $3 } END { print (NR > 0), (n > 0) }' /etc/passwd
        find /usr -xdev -printf '%y\n' | sort | uniq -c | awk '{ print $2 }' | tr -d '\n'; echo""").out.split()
    assert int(out[0]) > 100 and int(out[1]) > 50
    assert out[2:] == ["x", "1", "1", "dfl"]


def test_tar_with_its_compressors(sandbox):
    out = sandbox("""
        for c in gzip bzip2 xz zstd; do
            tar -cf a.$c --$c -C /usr/lib/python3.11 json email && mkdir $c && tar -xf a.$c -C $c
            diff -r /usr/lib/python3.11/json $c/json && tar -tf a.$c | wc -l
        done""", timeout=240).out.split()
    assert len(set(out)) == 1 and int(out[0]) > 20


def test_git_commits_clones_and_collects(sandbox):
    out = sandbox("""
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        git init -q -b main r && cd r
        for i in $(seq 20); do echo $i > f$i; git add f$i; git commit -q -m "c $i"; done
        git log --oneline | wc -l; git gc -q; git fsck --strict 2>&1 | grep -c error
        cd .. && git clone -q r s && cd s && git log -1 --format=%s && git checkout -q -b side HEAD~5 && ls | wc -l
        git merge -q main && git status --porcelain | wc -l""", timeout=240).out.split("\n")
    assert out[:6] == ["20", "0", "c 20", "15", "0", ""]


SQLITE = """
    db=/work/t.db
    sqlite3 $db 'pragma journal_mode=wal; create table t(w int, n int);' > /dev/null
    for w in 1 2 3 4; do
        (for n in $(seq 25); do sqlite3 -cmd '.timeout 60000' $db "insert into t values($w, $n);" || exit 1; done) &
        pids="$pids $!"
    done
    for p in $pids; do wait $p || exit 1; done
    sqlite3 $db 'select count(*), sum(n), count(distinct w) from t; pragma integrity_check;'
"""


def test_sqlite_with_four_writers(sandbox):
    assert sandbox(SQLITE, timeout=300).out.split() == ["100|1300|4", "ok"]


def test_fifty_sandboxes_at_once_each_with_the_sqlite_job(sandbox):
    begun = [sandbox.begin(SQLITE) for _ in range(50)]
    for one in begun:
        result = sandbox.finish(one, 900)
        assert result.code == 0 and result.out.split() == ["100|1300|4", "ok"], str(result)


def test_perl_forks_sorts_and_matches(sandbox):
    out = sandbox(r"""perl -MPOSIX -MData::Dumper -e '
        my @k; for my $i (1..5) { my $p = fork; if (!$p) { exit $i } push @k, $p }
        my $s = 0; for (@k) { waitpid $_, 0; $s += $? >> 8 } print "$s\n";
        open my $f, "|-", "sort -n" or die; print $f "$_\n" for reverse 1..3; close $f;
        local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; pause; print strftime("%Y", gmtime 0), "\n"'""").out
    assert out.split() == ["15", "1", "2", "3", "alarm", "1970"]
