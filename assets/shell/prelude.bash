# Read once by each bash of a session, before its first step.
set -m
shopt -s expand_aliases

__footlights_interrupted=

# Before each step: what Footlights vouches for is put back.
__footlights_begin() {
  # A Ctrl-C that came when no step ran has nothing to skip.
  case $__footlights_interrupted in 1)
    builtin trap - DEBUG
    shopt -u extdebug
    ;;
  esac
  . "$__footlights_dir/env"
  case ${PATH-} in
    "$__footlights_bin":*) ;;
    *) PATH=$__footlights_bin:${PATH-} ;;
  esac
  __footlights_interrupted= __footlights_allexport=${-//[!a]/} __footlights_trap=
  # A file and not a substitution: that would be one more process a step.
  builtin trap -p INT >|"$__footlights_dir/trap"
  IFS= builtin read -r __footlights_trap <"$__footlights_dir/trap"
  [ -n "$__footlights_trap" ] || builtin trap "$__footlights_interrupt" INT
}

# Ctrl-C, where the script has no handler of its own: all that is left of the step is skipped, loops
# are left, functions run empty. (With extdebug a DEBUG trap that fails skips its command.)
__footlights_interrupt='
  __footlights_interrupted=1
  shopt -s extdebug
  trap "__footlights_passes \"\$BASH_COMMAND\" || { break 99 2>/dev/null; false; }" DEBUG
  break 99 2>/dev/null'
__footlights_passes() {
  case $1 in
    __footlights_* | 'case $__footlights_interrupted'* | 'builtin trap - DEBUG'*) return 0 ;;
  esac
  return 1
}

# `set -a` exports functions too, which an assignment of demosh's never does.
__footlights_unexport_functions() {
  builtin declare -Fx >|"$__footlights_dir/functions"
  while builtin read -r _ _ __footlights_name; do
    case $__footlights_exported in
      *" $__footlights_name "*) ;;
      *) builtin export -nf "$__footlights_name" ;;
    esac
  done <"$__footlights_dir/functions"
}

# Before an assignment: all that it sets will be exported.
__footlights_begin_assignment() {
  __footlights_exported=' '
  builtin declare -Fx >|"$__footlights_dir/functions"
  while builtin read -r _ _ __footlights_name; do
    __footlights_exported+="$__footlights_name "
  done <"$__footlights_dir/functions"
}

# After each step: the mark that ends its output, the state to restore, and the report. Arguments:
# the step's number, its status, what it was, and the positional parameters. Traps on commands (DEBUG,
# ERR, RETURN) are the step's: who calls this has put them into a file and taken them off, since a
# function can do neither. They are set anew with the next step.
__footlights_end() {
  __footlights_id=$1 __footlights_status=$2 __footlights_kind=$3
  case $__footlights_interrupted in 1)
    builtin trap - DEBUG
    shopt -u extdebug
    __footlights_status=130
    ;;
  esac
  __footlights_errexit=0
  case $- in *e*) set +e; __footlights_errexit=1 ;; esac
  __footlights_traps=
  IFS= builtin read -r -d '' __footlights_traps <"$__footlights_dir/traps"
  shift 3
  __footlights_zero=$0
  __footlights_arguments=("$@")
  if [ "$__footlights_kind$__footlights_allexport" = assignment ]; then
    set +a
    __footlights_unexport_functions
  fi
  __footlights_xtrace=
  case $- in *x*) set +x; __footlights_xtrace='set -x; ' ;; esac
  set +v
  builtin printf '\033]7717;%s\007' "$__footlights_id" >/dev/tty
  __footlights_save >|"$__footlights_dir/state.new"
  builtin printf 'END\0%s\0%s\0%s\0%s\0' "$__footlights_id" "$__footlights_status" \
    "$__footlights_errexit" "${KUBECONFIG-}" >"$__footlights_dir/out"
}

# Options come first, since functions may need them to be read (extglob); then variables, where
# Footlights finds what `${NAME}` shows. The last line says that the disk had room for all of it.
__footlights_save() {
  builtin shopt -p
  builtin declare -p
  builtin declare -f
  builtin alias -p
  builtin shopt -po
  builtin trap -p
  builtin umask -p
  builtin printf '__footlights_cwd=%q\n# whole\n' "$PWD"
}

# The words behind `$SHELL`: the script to play, its arguments, and what it inherits.
__footlights_expand() {
  builtin printf '%s\0' "$PWD" "$@" >|"$__footlights_dir/words"
  command -p env -0 >|"$__footlights_dir/environment"
}

# A new bash takes over where the last one ended. What bash keeps for itself is read-only and stays.
if [ -f "$__footlights_dir/state" ]; then
  . "$__footlights_dir/state" 2>/dev/null
  set -- "${__footlights_arguments[@]}"
fi
builtin cd -- "${__footlights_cwd:-$__footlights_start}"
