# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format 0.0.4, read strictly: whatever its own parsers might forgive is an error here."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(r"(%s)(?:\{(%s(?:,%s)*)\})? ([0-9]+(?:\.[0-9]+)?)" % (NAME, LABEL, LABEL))
HEAD = re.compile(r"# (HELP|TYPE) (%s) (.*)" % NAME)
UNESCAPED = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


class Families(dict):
    """{name: [(labels, value)]}; types: {name: type}."""

    def __init__(self, text):
        super().__init__()
        self.types = {}
        helped, current = set(), None
        assert text.endswith("\n"), text[-200:]
        for line in text[:-1].split("\n"):
            head = HEAD.fullmatch(line)
            if head:
                word, name, rest = head.groups()
                current = name
                assert name not in self, "%s begins again" % name
                if word == "HELP":
                    assert name not in helped and re.fullmatch(r"(?:[^\\]|\\[\\n])*", rest), line
                    helped.add(name)
                else:
                    assert name not in self.types and rest in ("counter", "gauge", "untyped"), line
                    self.types[name] = rest
                continue
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            name, labels, value = sample.groups()
            assert name == current and name in self.types, line
            pairs = [pair.split("=", 1) for pair in re.findall(LABEL, labels or "")]
            found = {key: re.sub(r'\\["\\n]', lambda m: UNESCAPED[m[0]], text[1:-1])
                     for key, text in pairs}
            assert len(found) == len(pairs), line
            samples = self.setdefault(name, [])
            assert found not in [other for other, _ in samples], line
            samples.append((found, float(value)))
        for name, kind in self.types.items():
            assert name in self and name in helped, name
            assert kind != "counter" or name.endswith("_total"), name

    def value(self, name, **labels):
        """The one sample of this name that has these labels."""
        found = [value for other, value in self[name] if labels.items() <= other.items()]
        assert len(found) == 1, (name, labels, self[name])
        return found[0]
