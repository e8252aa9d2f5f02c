#!/usr/bin/python3
"""The machine code of the lanes takes no decision by what is in vector or mask registers, where the secrets are.

    lanes_code.py [--list] OBJECT...

No instruction that turns lanes into flags, gathers, scatters, or takes a time that depends on its operands; no conditional jump on a
general register that got its value out of a vector or mask register, and no address by one (followed line by line in a function). What is left are
loop counters, lane counts and NULL tests; --list shows each with the instruction that set its flags."""
import re
import subprocess
import sys

FORBIDDEN = re.compile(r"(kortest|ktest|v?ptest\b|vtestp|v?p?movmsk|v?p?gather|v?p?scatter|v?p?compress|v?p?expand|v?i?div|v?sqrt|pdep|"
                       r"pext\b)")
# Out of a vector or mask register into a general one.
LEAVES = re.compile(r"(kmov|v?movd|v?movq|v?pextr)")
SETS_FLAGS = re.compile(r"(cmp|test|add|sub|dec|inc|and|or|xor|neg|sh[lr]|sa[lr]|bt|adc|sbb)[bwlq]?$")
NARROW = {"al": "rax", "bl": "rbx", "cl": "rcx", "dl": "rdx", "sil": "rsi", "dil": "rdi", "bpl": "rbp", "spl": "rsp"}


def family(register):
    if register in NARROW:
        return NARROW[register]
    if re.fullmatch(r"r\d+[bwd]?", register):
        return register.rstrip("bwd")
    return "r" + register[-2:] if len(register) in (2, 3) else register


def general(text):
    """The general registers that a text names."""
    return {family(r) for r in re.findall(r"%([a-z0-9]+)", text) if not re.match(r"([xyz]mm\d|k\d|st|rip|fs|gs)", r)}


def check(lines, list_jumps):
    """Findings of one object's disassembly."""
    findings, function, tainted, flags, counters = [], "?", set(), ("", False), set()
    for line in lines:
        if re.match(r"[0-9a-f]+ <", line):
            function, tainted, flags, counters = line.split("<")[1].rstrip(">:\n"), set(), ("", False), set()
            continue
        match = re.match(r"\s+[0-9a-f]+:\t(\S+)\s*(.*)", line)
        if not match:
            continue
        name, operands = match[1], re.sub(r"\s*[#<].*", "", match[2])
        where = f"{function}: {name} {operands}"
        if name.startswith("nop"):
            continue
        if FORBIDDEN.match(name):
            findings.append(where)
        parts = re.split(r",(?![^(]*\))", operands)
        target = general(parts[-1]) if parts[-1].startswith("%") else set()
        sources = general(operands if SETS_FLAGS.match(name) else ",".join(parts[:-1]))
        mask = re.search(r"%(k\d)$", operands)
        if mask:
            # Compilers put loop counters there, too, when general registers are short.
            from_general = name.startswith("kmov") and sources and not sources & tainted
            counters = counters | {mask[1]} if from_general else counters - {mask[1]}
        if LEAVES.match(name) and re.search(r"%(k\d|[xyz]mm)", parts[0]) and target:
            tainted = tainted - target if parts[0].lstrip("%") in counters else tainted | target
        elif target and re.match(r"(mov|lea|set)", name):
            tainted = tainted | target if sources & tainted else tainted - target
        elif target and name.startswith("xor") and parts[0] == parts[-1]:
            tainted -= target
        elif target and sources & tainted:
            tainted |= target
        if SETS_FLAGS.match(name):
            flags = (where, bool(sources & tainted))
        if name.startswith("call"):
            tainted -= {"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"}
        if name.startswith("j") and name != "jmp":
            if list_jumps:
                print(f"{function}: {name}, by {flags[0].split(': ')[-1]}")
            if flags[1]:
                findings.append(f"{where}, by {flags[0]}")
        if general(operands) & tainted and re.search(r"\(", operands) and not name.startswith("lea"):
            inside = general("".join(re.findall(r"\([^)]*\)", operands)))
            if inside & tainted:
                findings.append(f"{where}: address")
    return findings


# What must be found: a branch and an address by what leaves a mask register.
PLANTED = """0000 <branch>:
   0:\tkmovb  %k1,%eax
   4:\ttest   $0x1,%al
   6:\tje     10 <branch+0x10>
0010 <address>:
  10:\tvmovq  %xmm1,%rdx
  14:\tmov    (%rdi,%rdx,1),%al
0020 <flags>:
  20:\tkortestb %k1,%k1
  24:\tjne    30
0030 <fine>:
  30:\tkmovb  %k1,%eax
  34:\txor    %edx,%eax
  36:\tkmovb  %eax,%k2
  38:\tmov    $0x5,%eax
  3a:\tsub    $0x1,%eax
  3c:\tjne    30
0040 <counter>:
  40:\tmov    $0x1,%eax
  44:\tkmovb  %eax,%k0
  48:\tkmovb  %k0,%ecx
  4c:\ttest   %cl,%cl
  50:\tje     60
"""


def main():
    arguments = [a for a in sys.argv[1:] if a != "--list"]
    planted = check(PLANTED.splitlines(), False)
    if [f.split(":")[0] for f in planted] != ["branch", "address", "flags"]:
        sys.exit(f"the check does not find what was planted: {planted}")
    found, functions = [], 0
    for path in arguments:
        dump = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], stdout=subprocess.PIPE, text=True, check=True).stdout
        if "zmm" in dump:
            functions += dump.count(">:\n")
            found += check(dump.splitlines(), "--list" in sys.argv)
    print("\n".join(found) or f"{functions} functions: no decision by a vector or mask register")
    sys.exit(bool(found) or functions == 0)


main()
