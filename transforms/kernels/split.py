"""Split patterns: where a text is cut into pieces before BPE merges bytes inside each piece.

The regular expressions that byte-level tokenizers publish, as compiled loops. A pattern is a row of
`PATTERNS`: its name, the loop that cuts it, and the expressions that stand for it in tiktoken and
in `tokenizer.json`. Classes of code points are those of Unicode 16.0, pinned here: tiktoken and the
`tokenizers` library bring the same tables, whatever Python runs, so the same text has the same
tokens on every worker.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.eight_bytes import HIGH, byte_number, load_eight, lowest, repeat_byte
from transforms.kernels.loops import INLINE, LOOP
from transforms.kernels.unicode import CODE_POINTS, decode

__all__ = ["PATTERNS", "Pattern", "find_pattern", "find_pieces", "piece_classes"]

# Classes, ordered so that a comparison answers what a pattern asks.
OTHER = 0  # neither letter, number nor white space
MARK = 1  # M
NUMBER = 2  # N
SPACE = 3  # white space, without the two below
NEWLINE = 4  # line feed and carriage return
UPPER = 5  # Lu, Lt
LOWER = 6  # Ll
LETTER = 7  # Lm, Lo: neither case

# Kinds of loop; bits say what differs inside a family.
CL100K = 0  # words of any case with one sign before them, numbers of three digits at most
SINGLE_DIGITS = 1  # CL100K with numbers of one digit
END_WHOLE = 2  # CL100K: white space up to the end of the text is one piece, newlines or not
O200K = 4  # words cut where lower case turns to upper, contractions stay with their word
GPT2 = 8  # words and numbers with one blank before them, contractions in lower case alone
NUMBERS_APART = 16  # GPT2 between numbers, which are cut out first (with SINGLE_DIGITS, each digit)


class Pattern(NamedTuple):
    """A split pattern: `name` in recipes, `kind` of loop, expressions that mean exactly this."""

    name: str
    kind: int
    expressions: tuple[str, ...]


PATTERNS = (
    Pattern(
        "cl100k",
        CL100K | END_WHOLE,
        (
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        ),
    ),
    Pattern(
        "llama3",
        CL100K,
        (
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ),
    Pattern(
        "qwen2",
        CL100K | SINGLE_DIGITS,
        (
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ),
    Pattern(
        "o200k",
        O200K,
        (
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ),
    Pattern(
        "gpt2",
        GPT2,
        (
            r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        ),
    ),
    Pattern(
        "gpt2_numbers",
        GPT2 | NUMBERS_APART,
        (
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+"
            r"|\s+(?=\p{N})|\s+(?!\S)|\s+",
        ),
    ),
    Pattern(
        "gpt2_digits",
        GPT2 | NUMBERS_APART | SINGLE_DIGITS,
        (
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
            r"|\s+(?=\p{N})|\s+(?!\S)|\s+",
        ),
    ),
)

_LOW7 = repeat_byte(0x7F)
_CASE = repeat_byte(0x20)
_FROM_A = repeat_byte(0x80 - ord("a"))  # the sum has its high bit from "a" on
_PAST_Z = repeat_byte(0x80 - ord("z") - 1)
_FIRST_TWO = np.uint64(0x8080)  # high bits of the first two of eight bytes
_NOT_FIRST = np.uint64(0x8080808080808000)

# Runs of equal class over all code points, Unicode 16.0: little-endian varints of
# length << 3 | class, compressed. A test compares them with the regex engines.
_RUNS = (
    b"c-pmBZ%kX)71z1%LCyv2dtVa#-pd4jFDvnLBw~ZKU?Vk{PGA$MfxHg`HZ5`XC8U}LeA!5(EoM_<=feb<v=BvWA<<Uo"
    b"CIxR=YNygf_F)B8S{-Rh$vUmh_My;x7%X4h_6s}DkZGCJMokqR`Tl$7o^$TG=lsrfs=i@Q!!*=SxUqW>eGdle??Qb_"
    b"#CD_Ks1vvk{{Z;n+km}3|1(kGDf6dLqt`Y!R!2>N7O$mQ<Ku6E>bf@$2w!u^`_kxts>XoF)8zL(D;*&%B(>%7{H7{C"
    b"fEln(k40hvMGhu+dFujwekq#K7xiHi`moXeQ^1#BW4=IB^Jhpt<nyC<m{*mH%F_+O__H0L@k?CD7bm>Mq=>%D5+5<-"
    b"s1fl*8LZGc3_E4^2Dp~aXKPW!Wt*;{t-C=fG9Y*b{tB{GGc3m3Db}Z3LULIETl5K2gr}hdrghR;2JA@mt+GD?USb8s"
    b"6qiB72Q}$p7EDY^owi^X3L_*rY0#u865P@;NG!T+mjbyovBTQo(>;<L!xnKGJQhL`bG0BJGO-_nxWf}6S>0%&DaC|N"
    b"f>NRl|3}$2LsePK+|h-ieSiz>FoGB|bQGu?x)C%^TVcaQoBYGaUKt4|Nyie9>E3=4X~#4qZ%9u`q7wxv+2$DBR<X?z"
    b"C7V4JI#1i4l_jQae-ciRcarvN<RqHUfI;r+M<KfmZne>6bVpsOjbs(B$DOWjbc@V0ErP@*aFFYLLPls5M^}b2OcX(j"
    b"-T>N1WNAs9XV!H<Ei#PPS&FYHWp*8e8||<|rZDw*&>lS{xNFN>41JDIe!x&Pm-b>v(uGi4V$@8r|IW{2Nuh35m1gP&"
    b"7+J``tr~gQSUVu6pnescvTE#0#%91y&4M{J16q2Nj;p2Tl}Tm@OK|B%-5lLJccZ16SVWs)TsQ@FU<>e+b!xz^fQ$^S"
    b"F>4i~-&|lz5VjVT<M<J|n>LP!#3ztb!dvVTBn^_&mo_VKMt9fPczT|WmT--rJI~}XpWpdAlT8`Y^ag}@2iHyEe8{$x"
    b"?};mHkxi=4JEfk9jy-=3J%{DjWN%OJc2AI3rQV+JR~LJG4q>2`>Pj<p#sL{<v3gsb>f~GNu*a$YnAK;XPRMqLqG<H0"
    b"a*5@@XZa){e-q)N(Hh;B*n)(;A-@bXI=%yzAFmNs9?ZA?Q`uC12l>z=c+h*H3ZP9p;MU^7++n@x`8zof^*Yn%Pu0mc"
    b"8TuW+TvlRYf-ga;3!kJ(_AwKgrg}@STY;l(l+ycjt58F@5yaIR3=ukFrN-DlkYyQ#vVpmq@DiS*zR1pH_GW*fWYmrI"
    b"x~po1$qh;Q;_7qo#q1R}9!K$c9J*FeU2TE&%O}>Gznq^$?~`>%RHcj065LAk<Vs6*JMBWEoy7$R`ustE7Z36f_mZ0%"
    b"?E~{lTANWW!+;yT3>^jmFL&3VTQ0$w^adFA78@U<Xp8VcH$uoco(l3LfoXIJ3}MbFoPbP=Xo8D75R@mwGN=u7NTTX("
    b"5~78UiRi_eS=No-uKBlW(o0}XDRa|mB_LO8^Xy3akR$jYj-m&pUV&Mw&9QP|8nUV^D0kRtYm$(Terg1l@G9&)#D+>W"
    b"MpcsxUS+3o6>t`4^LhD$X;$8qe#p}AC^^`j+r_7m4l<=o@b|&Wvi+%fs7uy41r~M)?+Bxlc<?U!6MLIgR5I~b%zB+!"
    b"%Pc{j`8NI#U&KZ{fj`0{7%*sQX-}#E1IatkfvXJr7t{`_k!y_Vl^~zVm+05I1&N~>#WTk_Sb%nd)4aN@SiAKfgM7rO"
    b"N@<QAB4pkGX<Gbf5jJ2qP4;D264yYp4rZXB3=~M(EI2RCKoL4KH6^vEysC`6ro`IknVld&?zja;7{!}#*Y_!S)@X*F"
    b"fnZUwH^3E%0u1lJPtPv<E?b1oIiL(P7nQR^kAUl%NZA`~IL1dx5ObsEJR3*X5}HWNGA>2R%qrs{%SO$m_nLJBsF+|0"
    b"PDQ!SH<fBN!t*#7+hV62H)=mo+ELps?Ox4xBASdF;h{mQsR9dB-}>l1!O_MrMa+n{4vQ3eA;-0Na1*l1b)fp1aPxIr"
    b"EH3+s5YnbuR=Gr>Hst16nVq56236PxPzHI{`i|ALQoqK|F4SIN7uhvPC+R7WBpa5YjiSva6<XTOt4X;;;^K4?ejmi~"
    b"Wfm89f+xgqg-w!ZdMc^KhAB4TM*DG*0<~LAJOnQ`ehWChqI#z)ur|Yco5cku&v(#DmW62^CWG>OW~t&*3XI|mqtlMK"
    b"e4$26{2K1F)p)-4)7l)&H$3<yOw~?gzn%f!adx2m2{=nHto%l)z-4gr-z|MLMkUydZmHCe;_y&biKjwo7dvqgoLR_x"
    b"WrG=RzQH@_Td-1FRxK`WD=~XCqms+`kT$lw#S(>=SJ+_jrW&eV#q910u})bj#zKiTV{RJCwa%!~9~(5Z+y&<5t$#Cl"
    b"8#e8*(U$0z@lCMjxOsoq4M>xVYu|w)-h=nx9vs0d;Em{oE`735wqVZzf|Vn9!dq>`7TH5tQXOF{l_77uz4QNnAA<Zd"
    b";Jbi_Kd+;I1wT_V)@{YQtR(mt&qEl`W_rFMUWe%61z#L5fsA|3cPdJb@yssrO}tA|{O0ynfahS1*>1jR4XE{1Kojml"
    b"a~DM{fdei!$fNNU_H%ZHqQG*CZSO1eA8!8x^&!J^(+wdkdm!RP>mco*kcrZ}$?GXyx7Qz&H}m`)s`3ru6gWYO{wbJy"
    b";gzd5=~ffjf9=h%)t|6v#V2Rh+1S)yl!?lL>1$B2r%#lB&z$T<mbv#gHYqayIQbtBmx=8"
)


def find_pattern(expression: str) -> Pattern | None:
    """The pattern that an expression stands for, None when no compiled loop does exactly that."""
    for pattern in PATTERNS:
        if expression in pattern.expressions:
            return pattern
    return None


@cache
def piece_classes() -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: the class of each code point; OTHER where none is assigned."""
    runs, value, shift = [], 0, 0
    for byte in zlib.decompress(base64.b85decode(_RUNS)):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            runs.append(value)
            value, shift = 0, 0
    packed = np.array(runs, np.int64)
    table = np.repeat((packed & 7).astype(np.uint8), packed >> 3)
    assert len(table) == CODE_POINTS
    return table


@njit(**LOOP)
def _class_beyond_ascii(data, i, end, classes):  # type: ignore[no-untyped-def]
    code, width = decode(data, i, end)
    return classes[code], width


@njit(**INLINE)
def _class_at(data, i, end, classes):  # type: ignore[no-untyped-def]
    """(class, bytes) of the code point at data[i], i < end."""
    c = data[i]
    if c < 128:
        return classes[c], 1
    return _class_beyond_ascii(data, i, end, classes)


@njit(**INLINE)
def _contraction(data, i, end, any_case):  # type: ignore[no-untyped-def]
    """Bytes of 's 't 'm 'd 're 've 'll at data[i], 0 if none. In any case, U+017F is an s too."""
    if i + 1 >= end or data[i] != 39:
        return 0
    fold = 32 if any_case else 0
    a = data[i + 1] | fold
    if a == 115 or a == 116 or a == 109 or a == 100:
        return 2
    if i + 2 >= end:
        return 0
    if any_case and data[i + 1] == 0xC5 and data[i + 2] == 0xBF:
        return 3
    b = data[i + 2] | fold
    if (b == 101 and (a == 114 or a == 118)) or (a == 108 and b == 108):
        return 3
    return 0


@njit(**INLINE)
def _skip(data, i, end, classes, low, high):  # type: ignore[no-untyped-def]
    """First offset from i on whose class is not in low..high."""
    while i < end:
        kind, width = _class_at(data, i, end, classes)
        if kind < low or kind > high:
            break
        i += width
    return i


@njit(**INLINE)
def _space_piece(data, i, end, classes, newlines, end_whole):  # type: ignore[no-untyped-def]
    """End of the piece that begins with the white space at data[i].

    Up to the last newline of the run (if newlines are told apart), else the run without its last
    character, which goes with what follows; the whole run when nothing follows.
    """
    j, last, after_newline = i, i, -1
    while j < end:
        kind, width = _class_at(data, j, end, classes)
        if kind != SPACE and kind != NEWLINE:
            break
        last = j
        j += width
        if kind == NEWLINE:
            after_newline = j
    if j >= end and end_whole:
        return j
    if newlines and after_newline >= 0:
        return after_newline
    if j >= end or last == i:
        return j
    return last


@njit(**INLINE)
def _sign_piece(data, i, end, classes):  # type: ignore[no-untyped-def]
    """End of the run of signs at data[i], one blank before them included; i if there is none."""
    j = i + 1 if data[i] == 32 else i
    after = _skip(data, j, end, classes, OTHER, MARK)
    return after if after > j else i


@njit(**INLINE)
def _lower_case(x):  # type: ignore[no-untyped-def]
    """Mask of the bytes of x that are a..z."""
    low = x & _LOW7
    return (low + _FROM_A) & ~(low + _PAST_Z) & ~x & HIGH


@njit(**INLINE)
def _letters(x):  # type: ignore[no-untyped-def]
    """Mask of the bytes of x that are a..z or A..Z."""
    return _lower_case(x | _CASE)


@njit(**INLINE)
def _ascii_word(found, data, i, end, classes):  # type: ignore[no-untyped-def]
    """End of the letters at data[i], or at data[i + 1] behind a sign or blank; i if neither.

    All of ASCII, and seven or eight letters at most; `found`: which of the eight bytes at data[i]
    are letters. This is how most pieces begin.
    """
    kind = classes[data[i]]
    if found & _FIRST_TWO != 0 and data[i] < 128 and kind != NUMBER and kind != NEWLINE:
        others = (found ^ HIGH) & _NOT_FIRST
        return i + 8 if others == 0 else i + byte_number(lowest(others))
    return i


@njit(**INLINE)
def _goes_on(data, i, j, end):  # type: ignore[no-untyped-def]
    """Letters that `_ascii_word` did not see may follow data[i:j]."""
    return j == i + 8 or (j < end and data[j] >= 128)


@njit(**INLINE)
def _skip_letters(data, i, end, classes):  # type: ignore[no-untyped-def]
    """First offset from i on that is no letter; letters of ASCII are passed eight at a time."""
    while i + 8 <= end:
        others = _letters(load_eight(data, i, end)) ^ HIGH
        if others != 0:
            i += byte_number(lowest(others))
            break
        i += 8
    return _skip(data, i, end, classes, UPPER, LETTER)


@njit(**INLINE)
def _cl100k_piece(data, i, end, classes, most_digits, end_whole):  # type: ignore[no-untyped-def]
    j = _ascii_word(_letters(load_eight(data, i, end)), data, i, end, classes)
    if j > i and data[i] != 39:
        return _skip_letters(data, j, end, classes) if _goes_on(data, i, j, end) else j
    width = _contraction(data, i, end, True)
    if width > 0:
        return i + width
    kind, width = _class_at(data, i, end, classes)
    if kind >= UPPER:
        return _skip(data, i + width, end, classes, UPPER, LETTER)
    if kind != NEWLINE and kind != NUMBER and i + width < end:
        follows, _ = _class_at(data, i + width, end, classes)
        if follows >= UPPER:
            return _skip(data, i + width, end, classes, UPPER, LETTER)
    if kind == NUMBER:
        i += width
        for _ in range(most_digits - 1):
            if i >= end:
                break
            kind, width = _class_at(data, i, end, classes)
            if kind != NUMBER:
                break
            i += width
        return i
    j = _sign_piece(data, i, end, classes)
    if j > i:
        while j < end and (data[j] == 10 or data[j] == 13):
            j += 1
        return j
    return _space_piece(data, i, end, classes, True, end_whole)


@njit(**INLINE)
def _gpt2_piece(data, i, end, classes, apart, single):  # type: ignore[no-untyped-def]
    j = _ascii_word(_letters(load_eight(data, i, end)), data, i, end, classes)
    if j > i and (data[i] == 32 or classes[data[i]] >= UPPER):
        return _skip_letters(data, j, end, classes) if _goes_on(data, i, j, end) else j
    width = _contraction(data, i, end, False)
    if width > 0:
        return i + width
    j = i + 1 if data[i] == 32 else i
    if j < end:
        kind, width = _class_at(data, j, end, classes)
        if kind >= UPPER:
            return _skip_letters(data, j, end, classes)
        if kind == NUMBER and (j == i or not apart):
            return i + width if single else _skip(data, j, end, classes, NUMBER, NUMBER)
        if kind <= MARK:
            return _skip(data, j, end, classes, OTHER, MARK)
    j = _space_piece(data, i, end, classes, False, False)
    if apart and j < end:
        # White space before a number is as whole as that at the end.
        after = _skip(data, j, end, classes, SPACE, NEWLINE)
        if after < end and _class_at(data, after, end, classes)[0] == NUMBER:
            return after
    return j


@njit(**INLINE)
def _cased_word(data, i, end, classes):  # type: ignore[no-untyped-def]
    """End of [upper]*[lower]+ at data[i]; letters of no case and marks are both. i if none."""
    j, after_both = i, i
    while j < end:
        kind, width = _class_at(data, j, end, classes)
        if kind != UPPER and kind != LETTER and kind != MARK:
            break
        j += width
        if kind != UPPER:
            after_both = j
    if j < end:
        kind, _ = _class_at(data, j, end, classes)
        if kind == LOWER:
            while j < end:
                kind, width = _class_at(data, j, end, classes)
                if kind != LOWER and kind != LETTER and kind != MARK:
                    break
                j += width
            return j
    return after_both


@njit(**INLINE)
def _skip_lower_case(data, i, end):  # type: ignore[no-untyped-def]
    """First offset from i on that is none of a..z."""
    while i < end:
        others = _lower_case(load_eight(data, i, end)) ^ HIGH
        if others != 0:
            return i + byte_number(lowest(others))
        i += 8
    return i


@njit(**INLINE)
def _upper_word(data, i, end, classes):  # type: ignore[no-untyped-def]
    """End of [upper]+ at data[i], letters of no case and marks included; i if none. Where
    `_cased_word` found nothing, no lower case follows."""
    while i < end:
        kind, width = _class_at(data, i, end, classes)
        if kind != UPPER and kind != LETTER and kind != MARK:
            break
        i += width
    return i


@njit(**INLINE)
def _o200k_piece(data, i, end, classes):  # type: ignore[no-untyped-def]
    j = _ascii_word(_lower_case(load_eight(data, i, end)), data, i, end, classes)
    if j > i + 1:
        j = _skip_lower_case(data, j, end) if j == i + 8 else j
        if j == end or data[j] < 128:
            return j + _contraction(data, j, end, True)
    kind, width = _class_at(data, i, end, classes)
    prefix = kind <= MARK or kind == SPACE
    word = i + width if prefix else i
    # In the expression's order: lower case after a sign, without it, then upper case.
    j = _cased_word(data, word, end, classes)
    if j == word and prefix:
        word = i
        j = _cased_word(data, word, end, classes)
    if j == word:
        word = i + width if prefix else i
        j = _upper_word(data, word, end, classes)
    if j > word:
        return j + _contraction(data, j, end, True)
    if kind == NUMBER:
        for _ in range(3):
            if i >= end:
                break
            kind, width = _class_at(data, i, end, classes)
            if kind != NUMBER:
                break
            i += width
        return i
    j = _sign_piece(data, i, end, classes)
    if j > i:
        while j < end and (data[j] == 10 or data[j] == 13 or data[j] == 47):
            j += 1
        return j
    return _space_piece(data, i, end, classes, True, False)


@njit(**LOOP)
def _fill_cl100k(data, text_offsets, d, i, classes, most_digits, end_whole, ends):  # type: ignore[no-untyped-def]
    n = 0
    while d < len(text_offsets) - 1 and n < len(ends):
        end = text_offsets[d + 1]
        while i < end and n < len(ends):
            i = _cl100k_piece(data, i, end, classes, most_digits, end_whole)
            ends[n] = i
            n += 1
        if i >= end:
            d += 1
    return n, d, i


@njit(**LOOP)
def _fill_o200k(data, text_offsets, d, i, classes, ends):  # type: ignore[no-untyped-def]
    n = 0
    while d < len(text_offsets) - 1 and n < len(ends):
        end = text_offsets[d + 1]
        while i < end and n < len(ends):
            i = _o200k_piece(data, i, end, classes)
            ends[n] = i
            n += 1
        if i >= end:
            d += 1
    return n, d, i


@njit(**LOOP)
def _fill_gpt2(data, text_offsets, d, i, classes, apart, single, ends):  # type: ignore[no-untyped-def]
    n = 0
    while d < len(text_offsets) - 1 and n < len(ends):
        end = text_offsets[d + 1]
        while i < end and n < len(ends):
            i = _gpt2_piece(data, i, end, classes, apart, single)
            ends[n] = i
            n += 1
        if i >= end:
            d += 1
    return n, d, i


def find_pieces(
    data: npt.NDArray[np.uint8],
    text_offsets: npt.NDArray[np.int64],
    d: int,
    i: int,
    kind: int,
    ends: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Cut texts into pieces by a pattern's kind, from data[i] of text d on.

    Text d is data[text_offsets[d]:text_offsets[d + 1]]. Fills ends (int64) with the end of each
    piece, up to its length or to the end of the last text; returns (pieces, text and place to go on
    from), the number of texts as the text when there are no more. A piece begins where the one
    before ends. Only the loop of the kind that is asked for is ever compiled.
    """
    classes = piece_classes()
    single = kind & SINGLE_DIGITS != 0
    if kind < O200K:
        whole = kind & END_WHOLE != 0
        filled = _fill_cl100k(data, text_offsets, d, i, classes, 1 if single else 3, whole, ends)
    elif kind == O200K:
        filled = _fill_o200k(data, text_offsets, d, i, classes, ends)
    else:
        apart = kind & NUMBERS_APART != 0
        filled = _fill_gpt2(data, text_offsets, d, i, classes, apart, single, ends)
    return int(filled[0]), int(filled[1]), int(filled[2])
