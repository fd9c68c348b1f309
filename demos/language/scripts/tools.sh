## Imported by language.md. Two signs begin a comment that is never shown.
#@SKIP
This file is only imported: nothing up to SHOW is shown or run.
#@SHOW
#@HIDE
#@hook announce ANNOUNCE

#@macro chapter
  ## A macro's commands run unseen; only a wait in it waits.
  chapters=$((${chapters:-0} + 1))
  #@ifhook announce
    #@announce
  #@endif
  #@wait_clear
#@end
