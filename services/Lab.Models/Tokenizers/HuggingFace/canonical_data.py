"""Writes canonical_data.txt: what canonical composition (NFC) needs of the Unicode character database, in Python's version of it.

Lines: "D C A [B]" a canonical decomposition of one step, "P C A B" one that is also composed, "C FIRST LAST CLASS" a range of
combining classes other than 0. Hangul syllables follow a formula and are left out.
"""
import sys
import unicodedata as u

lines = [f"# Unicode {u.unidata_version}; made by canonical_data.py"]
classes = []
for c in range(0x110000):
    if 0xD800 <= c < 0xE000:
        continue
    char = chr(c)
    parts = u.decomposition(char).split()
    if parts and not parts[0].startswith("<"):
        composes = len(parts) == 2 and u.normalize("NFC", "".join(chr(int(p, 16)) for p in parts)) == char
        lines.append(f"{'P' if composes else 'D'} {c:04X} {' '.join(parts)}")
    if ccc := u.combining(char):
        if classes and classes[-1][1] == c - 1 and classes[-1][2] == ccc:
            classes[-1][1] = c
        else:
            classes.append([c, c, ccc])
lines += [f"C {first:04X} {last:04X} {ccc}" for first, last, ccc in classes]
with open(sys.argv[1], "w", newline="\n") as out:
    out.write("\n".join(lines) + "\n")
