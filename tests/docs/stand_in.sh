# Stands in for a program that needs Azure, a cluster or an installation; prints what pages go on
# with. What `kubectl exec` and `docker exec` would run elsewhere runs here.
name=$1
shift
case "$name ${1:-}" in
  az\ *) echo "$STAND_IN_KEY" ;;
  kubectl\ *)
    while [ "$#" -gt 0 ]; do
      [ "$1" = -- ] && shift && exec "$@"
      shift
    done ;;
  docker\ exec | podman\ exec)
    # The container may be called as the command is.
    while [ "$#" -gt 1 ]; do
      [ "$1" = durable-exporter ] && [ "$2" != durable-exporter ] && exec "$@"
      shift
    done ;;
esac
exit 0
