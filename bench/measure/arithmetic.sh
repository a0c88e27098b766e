# calculate EXPRESSION [FORMAT]: decimal arithmetic, which the shell has not.
calculate() { awk "BEGIN { printf \"${2:-%.6g}\\n\", ($1) }"; }

# The median of the numbers on standard input.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.6g\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# scaled COUNT: COUNT at scale 1, at least 1.
scaled() { calculate "int($1 * $scale) > 1 ? int($1 * $scale) : 1" %d; }

# Three digits that count; thousands in groups.
shown() {
    awk -v n="$1" 'BEGIN {
        if (n >= 1000) { s = sprintf("%d", n + 0.5); while (s ~ /^[0-9]+[0-9][0-9][0-9]/ && match(s, /^[0-9]+/) && RLENGTH > 3)
            s = substr(s, 1, RLENGTH - 3) "," substr(s, RLENGTH - 2); print s }
        else if (n >= 100) printf "%.0f\n", n
        else if (n >= 10) printf "%.1f\n", n
        else printf "%.2f\n", n }'
}
