#!/bin/sh
# Draws what a terminal showed: sh terminal.sh < session.txt > session.svg
#
# A line that begins with `$ ` was typed. The text is kept beside the picture, so that a change of the program's words
# shows as a change of text.
exec awk '
function escaped(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
function colour(text) {
    if (text ~ /^ *\$ /) return "#ffffff"
    if (text ~ /^error\[/ || text ~ / (rejected|failed) /) return "#ff8a80"
    if (text ~ /^  = / || text ~ /^    [a-z_]+\.[a-z_]+: /) return "#ffd180"
    if (text ~ /^  [a-z]+( [0-9])?  / || text ~ /^proven: / || text ~ / (active|standby) /) return "#a5d6a7"
    return "#cfd8dc"
}
{ lines[NR] = $0; if (length($0) > widest) widest = length($0) }
END {
    width = widest * 8.43 + 40; height = NR * 20 + 36
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", width, height, width, height
    printf "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#1c2526\"/>\n"
    printf "<g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    for (row = 1; row <= NR; row++)
        printf "<text x=\"20\" y=\"%d\" fill=\"%s\">%s</text>\n", row * 20 + 14, colour(lines[row]), escaped(lines[row])
    print "</g>\n</svg>"
}'
