# Before the head is ended: stop the run in it as Ctrl-C would, and wait for its end. Ray itself kills its driver (-9).
# Of /proc alone, since the image has no procps. The shell that Ray starts the command in has it as one word, and this
# one has other signs between the words: neither is meant.
drivers() {
  for folder in /proc/[0-9]*; do
    case "$(tr '\0' ' ' 2>/dev/null < "$folder/cmdline")" in
      *'/soundquarry'' run '*) echo "${folder#/proc/}" ;;
    esac
  done
}
for driver in $(drivers); do
  kill -TERM "$driver"
done
while [ -n "$(drivers)" ]; do
  sleep 1
done
