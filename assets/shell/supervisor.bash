# The session's leader: starts one bash after another, so that a step that ends its shell does not
# end the show. Arguments: the private directory, and where commands read from.
dir=$1
input=$2
trap '' INT QUIT TSTP TTIN TTOU
# What this bash has to say of the end of another is no part of the show.
exec 3>&2 2>/dev/null
generation=0
while [ -d "$dir" ]; do
  generation=$((generation + 1))
  mkdir "$dir/$generation" && mkfifo "$dir/$generation/bash" || exit
  printf 'READY\0%s\0' "$generation" >"$dir/out"
  # The command FIFO is called `bash` and opened by that name: it is the name in bash's messages.
  (
    trap - INT QUIT TSTP TTIN TTOU
    cd "$dir/$generation" && exec bash --norc --noprofile bash
  ) <"$input" 2>&3 3>&-
  printf 'DIED\0%s\0%s\0' "$generation" "$?" >"$dir/out"
done
