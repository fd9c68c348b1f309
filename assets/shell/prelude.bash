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
  local number=$1 status=$2 errexit=0
  case $- in *e*) set +e; errexit=1 ;; esac
  printf '\033]7717;%s\007' "$number" >/dev/tty
  __footlights_save >"$__footlights_dir/state.new"
  mv -f -- "$__footlights_dir/state.new" "$__footlights_dir/state"
  printf 'END\0%s\0%s\0%s\0%s\0' "$number" "$status" "$errexit" "$KUBECONFIG" \
    >"$__footlights_dir/out"
}

__footlights_save() {
  local __name
  for __name in $(compgen -v); do
    case $__name in
      BASH* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HISTCMD | LINENO | PIPESTATUS | PPID | \
        RANDOM | SECONDS | SHELLOPTS | SRANDOM | UID | _ | __name | __footlights_text | number | \
        status | errexit) ;;
      *) declare -p -- "$__name" 2>/dev/null ;;
    esac
  done
  declare -f
  alias -p
  shopt -p
  trap -p
  printf 'umask %s\n__footlights_cwd=%q\n' "$(umask)" "$PWD"
}
