# SPDX-License-Identifier: Apache-2.0
"""features: what engines learn about the runtime (features.md, features-linux.md)."""

import pytest

pytestmark = [pytest.mark.classes("ns", "sentry", "vm"),
              pytest.mark.beyond("crun", reason="this version has no features")]


@pytest.fixture
def features(runtime):
    return runtime.features().json


def test_versions_span_the_specification(features):
    assert features["ociVersionMin"] == "1.0.0"
    assert tuple(int(p) for p in features["ociVersionMax"].split("-")[0].split(".")) >= (1, 0, 2)


def test_all_six_hooks_are_named(features):
    assert set(features["hooks"]) == {"prestart", "createRuntime", "createContainer", "startContainer",
                                      "poststart", "poststop"}


def test_mount_options_include_the_common_ones(features):
    assert {"bind", "rbind", "ro", "rw", "nosuid", "nodev", "noexec", "rprivate", "rslave", "tmpcopyup",
            "rro", "relatime"} <= set(features["mountOptions"])


def test_namespaces_and_capabilities_are_named(features):
    linux = features["linux"]
    assert {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"} <= set(linux["namespaces"])
    assert {"CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_BPF"} <= set(linux["capabilities"])


def test_cgroup_versions_are_told(features):
    cgroup = features["linux"]["cgroup"]
    assert cgroup["v1"] is True and cgroup["v2"] is True


def test_seccomp_is_told(features):
    seccomp = features["linux"]["seccomp"]
    assert seccomp["enabled"] is True
    assert {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY",
            "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"} <= set(seccomp["actions"])
    assert {"SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"} <= set(seccomp["operators"])
    assert {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"} <= set(seccomp["archs"])


def test_annotations_name_libseccomp(features):
    version = features["annotations"]["io.github.seccomp.libseccomp.version"]
    assert len(version.split(".")) == 3


@pytest.mark.beyond("runc", reason="an older version of the specification")
def test_the_newer_sections_are_there(features):
    assert features["ociVersionMax"].startswith("1.3")
    assert "time" in features["linux"]["namespaces"]
    assert {"SCMP_ACT_KILL_THREAD"} <= set(features["linux"]["seccomp"]["actions"])
    assert features["linux"]["seccomp"]["knownFlags"] and "supportedFlags" in features["linux"]["seccomp"]
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True
    assert {"idmap", "ridmap"} <= set(features["mountOptions"])
    assert "apparmor" in features["linux"] and "selinux" in features["linux"]
    assert "potentiallyUnsafeConfigAnnotations" in features


def test_arguments_are_refused(runtime):
    assert runtime.call("features", "extra", check=False).returncode != 0
