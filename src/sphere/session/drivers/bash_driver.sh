# Runs the cells of a live session, one after another in one shell; python_driver.py says how cells
# come and answers go. An interrupt leaves every loop, this one too, which is then entered again.
exec {__dg_cells}<&0 0</dev/null
echo  # ready to be given to somebody
IFS= read -r -u "$__dg_cells" __dg_mark
__dg_mark=$'\x1e'$__dg_mark
__dg_end() {
    local answer="{\"cell\":$1,\"status\":\"$2\",\"exit_code\":$3$4}"
    printf '%s 0 1\n' "$__dg_mark"
    printf '%s %d 1\n%s' "$__dg_mark" "${#answer}" "$answer" >&2
}
__dg_cell=0
__dg_running=
trap '[[ -n $__dg_running ]] && break 1000' INT
__dg_end 0 ok 0 ",\"version\":\"${BASH_VERSINFO[0]}.${BASH_VERSINFO[1]}.${BASH_VERSINFO[2]}\""
__dg_loop='
while IFS=" " read -r -u "$__dg_cells" __dg_cell __dg_bytes; do
    LC_ALL=C IFS= read -r -N "$__dg_bytes" -u "$__dg_cells" __dg_code
    __dg_running=1
    eval "$__dg_code" {__dg_cells}<&-
    __dg_status=$?
    __dg_running=
    __dg_end "$__dg_cell" ok "$__dg_status"
done
if [[ -n $__dg_running ]]; then
    __dg_running=
    __dg_end "$__dg_cell" interrupted 130
    eval "$__dg_loop"
fi'
eval "$__dg_loop"
