# Read once by each bash of a session, before its first step.
set -m
shopt -s expand_aliases
[ ! -f "$__footlights_dir/state" ] || . "$__footlights_dir/state"
cd -- "${__footlights_cwd:-$__footlights_start}"

# Before each step: what Footlights vouches for is put back.
__footlights_begin() {
  . "$__footlights_dir/env"
  case $PATH in
    "$__footlights_bin":*) ;;
    *) PATH=$__footlights_bin:$PATH ;;
  esac
  # Without a handler of its own a script's loops would go on after Ctrl-C.
  [ -n "$(trap -p INT)" ] || trap 'break 99 2>/dev/null; return 130 2>/dev/null' INT
}

# After each step: the mark that ends its output, the state to restore, and the report.
__footlights_end() {
  __footlights_errexit=0
  case $- in *e*) set +e; __footlights_errexit=1 ;; esac
  builtin printf '\033]7717;%s\007' "$1" >/dev/tty
  __footlights_save >"$__footlights_dir/state.new"
  command -p mv -f -- "$__footlights_dir/state.new" "$__footlights_dir/state"
  builtin printf 'END\0%s\0%s\0%s\0%s\0' "$1" "$2" "$__footlights_errexit" "$KUBECONFIG" \
    >"$__footlights_dir/out"
}

__footlights_save() {
  builtin compgen -v | while IFS= read -r __footlights_name; do
    case $__footlights_name in
      BASH* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HISTCMD | LINENO | PIPESTATUS | PPID | \
        RANDOM | SECONDS | SHELLOPTS | SRANDOM | UID | _ | __footlights_*) ;;
      *) builtin declare -p -- "$__footlights_name" 2>/dev/null ;;
    esac
  done
  builtin declare -f
  builtin alias -p
  builtin shopt -p
  builtin shopt -po
  builtin trap -p
  builtin printf 'umask %s\n__footlights_cwd=%q\n' "$(umask)" "$PWD"
}
