#!/usr/bin/env python3
"""Makes cfg.json: what Python's own configparser reads from odd configuration files.

JoinMarket reads joinmarket.cfg with ConfigParser(strict=False); src/config must agree with it.
Run it again after adding a case: python3 test/vectors/make-cfg-vectors.py
"""
import configparser
import json
import os
import tempfile

CASES = {
    "empty file": "",
    "only comments": "# a\n; b\n\n   # c\n",
    "plain": "[A]\nx = 1\ny=2\n",
    "no newline at the end": "[A]\nx = 1",
    "colon delimiter": "[A]\nx: 1\n",
    "first delimiter wins, colon": "[A]\nurl: http://h=1\n",
    "first delimiter wins, equals": "[A]\nurl = http://host:80\n",
    "no blanks": "[A]\nx=1\ny:2\n",
    "blanks around": "[A]\n x   =   1   \n",
    "tabs around": "[A]\nx\t=\t1\t\n",
    "keys lower-cased": "[A]\nMiXeD = Value\n",
    "sections case-sensitive": "[a]\nx = 1\n[A]\nx = 2\n",
    "duplicate key, last wins": "[A]\nx = 1\nx = 2\n",
    "duplicate key in other case": "[A]\nX = 1\nx = 2\n",
    "duplicate section merges": "[A]\nx = 1\ny = 1\n[B]\nz = 1\n[A]\nx = 2\n",
    "hash in value": "[A]\nx = a # b\n",
    "semicolon in value": "[A]\nx = a ; b\n",
    "hash at start of value": "[A]\nx = # b\n",
    "semicolon only value": "[A]\nx = ;\n",
    "comment behind a header": "[SEC] ; c\nx = 1\n",
    "comment with bracket behind a header": "[SEC] ; c]\nx = 1\n",
    "text behind a header": "[SEC] text\nx = 1\n",
    "indented comment": "[A]\nx = 1\n   # c\n   ; d\ny = 2\n",
    "dotted section": "[a.b.c]\nx = 1\n[a]\ny = 2\n",
    "section with colon": "[MESSAGING:onion]\ntype = onion\n",
    "section with blanks": "[ A B ]\nx = 1\n",
    "section with brackets inside": "[a[b]c]\nx = 1\n",
    "section of one bracket": "[]]\nx = 1\n",
    "empty section": "[A]\n[B]\nx = 1\n",
    "section named like a number": "[7]\nx = 1\n[3]\n2 = b\n1 = a\n",
    "section __proto__": "[__proto__]\nx = 1\n",
    "key __proto__": "[A]\n__proto__ = 1\nconstructor = 2\ntoString = 3\n",
    "boolean words": "[A]\na = true\nb = false\nc = null\nd = yes\n",
    "numbers": "[A]\na = 1\nb = 1.50\nc = 0x10\nd = 1e3\n",
    "double quotes kept": '[A]\nx = "a b"\n',
    "single quotes kept": "[A]\nx = 'a b'\n",
    "half a quote": '[A]\nx = "a\ny = b"\n',
    "quoted key": '[A]\n"x" = 1\n',
    "backslashes": "[A]\nx = a\\nb\\;c\\\\\n",
    "array key": "[A]\na[] = 1\na[] = 2\n",
    "key in brackets with text before": "[A]\nx [b] = 1\n",
    "value in brackets": "[A]\nx = [1, 2]\n",
    "bracket line that is a header": "[A]\n[x] = 1\ny = 2\n",
    "empty value": "[A]\nx =\ny:\n",
    "empty value with continuation": "[A]\nx =\n  a\n  b\n",
    "continuation": "[A]\nx = a\n  b\n  c\n",
    "continuation by tab": "[A]\nx = a\n\tb\n",
    "continuation deeper and deeper": "[A]\nx = a\n  b\n      c\n   d\n",
    "continuation that looks like a key": "[A]\nx = a\n  y = b\n",
    "continuation that looks like a header": "[A]\nx = a\n  [B]\ny = c\n",
    "comment between continuation lines": "[A]\nx = a\n# c\n  b\n  ; d\n  c\n",
    "blank line inside a value": "[A]\nx = a\n\n  b\n\n\n  c\n",
    "blank lines behind a value": "[A]\nx = a\n\n\n\ny = b\n",
    "blank line and comment inside a value": "[A]\nx = a\n\n# c\n\n  b\n",
    "indented keys of the same depth": "[A]\n  x = 1\n  y = 2\n",
    "indented key below a header": "[A]\n    x = 1\ny = 2\n",
    "deeper key is a continuation": "[A]\n  x = 1\n    y = 2\n  z = 3\n",
    "indented header": "  [A]\n  x = 1\n",
    "header indented behind a value": "[A]\nx = 1\n[B]\n  y = 2\n  [C]\n  z = 3\n",
    "header at the start ends a value": "[A]\nx = 1\n  more\n[B]\ny = 2\n",
    "first line indented, key not": "    [A]\nx = 1\n",
    "key with blanks inside": "[A]\nmy key = 1\n",
    "key with dots and dashes": "[A]\na.b-c = 1\n",
    "key with percent": "[A]\na%b = 1\n",
    "unicode": "[Ünï]\nKLÜSSEL = größe € 😀\n",
    "unicode capital with dot": "[A]\nİX = 1\nΣΑΣ = 2\n",
    "no-break space is blank": "[A]\n\u00a0x\u00a0=\u00a01\u00a0\n",
    "odd blanks": "[A]\nx = \x0b1\x0c\x1c\ny = \u20032\u2028\nz = \x853\n",
    "zero width space is not blank": "[A]\nx = \u200b1\u200b\n",
    "line separator does not end a line": "[A]\nx = a\u2028y = b\n",
    "form feed does not end a line": "[A]\nx = a\x0cy = b\n",
    "nul in a value": "[A]\nx = a\x00b\n",
    "crlf": "[A]\r\nx = 1\r\n  b\r\n\r\ny = 2\r\n",
    "cr only": "[A]\rx = 1\ry = 2\r",
    "mixed line ends": "[A]\r\nx = 1\ny = 2\rz = 3\r\n",
    "byte order mark": "\ufeff[A]\nx = 1\n",
    "default section": "[DEFAULT]\nx = 1\n[A]\ny = 2\n[B]\nx = 3\n",
    "default section behind": "[A]\ny = 2\n[DEFAULT]\nx = 1\nX = 5\n",
    "default in other case is a section": "[default]\nx = 1\n[A]\ny = 2\n",
    "only default": "[DEFAULT]\nx = 1\n",
    "percent doubled": "[A]\nx = 100%%\ny = %%(a)s\n",
    "reference": "[A]\na = 1\nb = <%(a)s>\nc = %(b)s%(a)s\n",
    "reference in other case": "[A]\nkey = 1\nb = %(KEY)s\n",
    "reference to default": "[DEFAULT]\nhome = /h\n[A]\np = %(home)s/x\n",
    "default refers to a section's key": "[DEFAULT]\np = %(home)s/x\n[A]\nhome = /a\n",
    "reference over lines": "[A]\na = 1\n  2\nb = %(a)s\n  %(a)s\n",
    "percent alone": "[A]\nx = 50%\n",
    "percent and letter": "[A]\nx = %d\n",
    "reference not closed": "[A]\na = 1\nx = %(a\n",
    "reference without s": "[A]\na = 1\nx = %(a)d\n",
    "reference with no name": "[A]\nx = %()s\n",
    "reference to nothing": "[A]\nx = %(nope)s\n",
    "reference to itself": "[A]\nx = %(x)s\n",
    "reference ring": "[A]\nx = %(y)s\ny = %(x)s\n",
    "references ten deep": "[A]\n" + "".join(f"k{i} = %(k{i + 1})s\n" for i in range(10)) + "k10 = end\n",
    "references eleven deep": "[A]\n" + "".join(f"k{i} = %(k{i + 1})s\n" for i in range(11)) + "k11 = %%\n",
    "reference name with a line break": "[A]\nx = %(a\n  b)s\n",
    "bad percent harms only its key": "[A]\nx = %\ny = 1\n",
    "key before a section": "x = 1\n[A]\ny = 2\n",
    "text before a section": "hello\n[A]\n",
    "comment before a section": "# c\n[A]\nx = 1\n",
    "empty brackets": "[]\nx = 1\n",
    "empty brackets in a section": "[A]\n[]\n",
    "unclosed header": "[A\nx = 1\n",
    "unclosed header in a section": "[A]\nx = 1\n[B\ny = 2\n",
    "unclosed header with delimiter": "[A]\n[B = 1\n",
    "no delimiter": "[A]\nx = 1\nkey\ny = 2\n",
    "no key": "[A]\n= 1\n",
    "no key, colon": "[A]\n : 1\n",
    "two bad lines": "[A]\nfoo\nbar\n",
    "continuation without a value above": "[A]\n    stray\n",
    "second header line with nothing": "[A]\nx = 1\n[B]\n   y\n",
    "delimiters only": "[A]\n:=\n",
    "value of delimiters": "[A]\nx = = : =\n",
    "long directory list": "[MESSAGING:onion]\ntype = onion\ndirectory_nodes = a.onion:5222,\n  b.onion:5222,\n\n# c.onion:5222,\n  d.onion:5222\n\nregtest_count = 0,0\n",
}


def read(path):
    parser = configparser.ConfigParser(strict=False)
    # utf-8-sig: a byte order mark is skipped, since some editors write it; all else is as in JoinMarket.
    with open(path, encoding="utf-8-sig") as file:
        parser.read_file(file, path)
    return parser


FAULTS = {
    configparser.InterpolationSyntaxError: "interpolation-syntax",
    configparser.InterpolationMissingOptionError: "interpolation-missing",
    configparser.InterpolationDepthError: "interpolation-depth",
}


def expanded(parser, section, key):
    try:
        return {"value": parser.get(section, key)}
    except configparser.InterpolationError as error:
        return {"fault": FAULTS[type(error)]}


def result(path):
    try:
        parser = read(path)
    except configparser.MissingSectionHeaderError as error:
        return {"error": {"kind": "no-section", "line": error.lineno}}
    except configparser.ParsingError as error:
        return {"error": {"kind": "bad-line", "line": error.errors[0][0]}}
    sections = {}
    for section in parser.sections():
        sections[section] = {
            key: {"raw": parser.get(section, key, raw=True), **expanded(parser, section, key)}
            for key in parser.options(section)
        }
    # As lists, because objects would lose the order of names like 7 and the name __proto__.
    return {"sections": [[name, list(keys.items())] for name, keys in sections.items()]}


def main():
    vectors = []
    for name, text in CASES.items():
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(text.encode("utf-8"))
        try:
            vectors.append({"name": name, "text": text, **result(file.name)})
        finally:
            os.unlink(file.name)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cfg.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump(vectors, out, indent=1)
        out.write("\n")
    print(f"{len(vectors)} cases in {path}")


main()
