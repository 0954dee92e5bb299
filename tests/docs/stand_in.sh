# What bash of the pages does where a program is missing: nothing, for those that need Azure, a
# cluster or an installation. What they print is what pages go on with, and what they would run
# elsewhere runs here. Where only the exporter's calls are asked for, they are written down instead.
command_not_found_handle() {
  case "$1 ${2-}" in
    az\ *) echo "$STAND_IN_KEY" ;;
    kubectl\ exec)
      while [ "$1" != -- ]; do shift; done
      "${@:2}" ;;
    docker\ exec | podman\ exec)
      # The container may be called as the command is.
      while [[ " ${*:2} " == *" durable-exporter "* ]]; do shift; done
      "$@" ;;
    docker\ run | podman\ run)
      while [ "$1" != IMAGE ]; do
        [[ $1 == --env=* ]] && export "${1#--env=}"
        shift
      done
      durable-exporter "${@:2}" ;;
    make\ *)
      for target in "${@:2}"; do
        [[ $'\n'$(<"$STAND_IN_MAKEFILE") == *$'\n'"$target:"* ]] || return
      done ;;
    curl\ * | jq\ *) [ -n "$STAND_IN_CALLS" ] ;;
    base64\ * | cosign\ * | docker\ * | func\ * | getent\ * | git\ * | head\ * | helm\ * | kubectl\ * | \
      pip\ * | podman\ * | python\ * | python3\ * | sudo\ *) ;;
    *)
      echo "tests/docs/stand_in.sh has no $1" >&2
      return 127 ;;
  esac
}

if [ -n "$STAND_IN_CALLS" ]; then
  durable-exporter() { printf '%s\n' "durable-exporter ${*@Q}" >> "$STAND_IN_CALLS"; }
fi
