# Samples: each label has a file with one number a line, in the order they were taken.

# in_abba_order PASSES MEASURE LABEL...: calls `MEASURE LABEL`, which prints a number, for every label; each
# pass in the opposite order of the one before, so that a drift of the machine meets all sides alike.
in_abba_order() {
    local count=$1 measure=$2 label pass reversed=
    shift 2
    for label in "$@"; do rm -f "$samples/$label"; reversed="$label $reversed"; done
    for ((pass = 1; pass <= count; pass++)); do
        for label in $(if ((pass % 2)); then echo "$@"; else echo "$reversed"; fi); do
            "$measure" "$label" >> "$samples/$label"
        done
    done
}

# One number, measured once or counted.
sample() { echo "$2" > "$samples/$1"; }

median_of() { median < "$samples/$1"; }

# ratio_of A B: the median of A's samples divided by those B had in the same pass.
ratio_of() { paste "$samples/$1" "$samples/$2" | awk '{ print $1 / $2 }' | median; }

# Both as they are shown.
figure() { shown "$(median_of "$1")"; }
ratio() { shown "$(ratio_of "$1" "$2")"; }
