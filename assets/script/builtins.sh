#@macro wait_clear
  #@wait
  #@clear
#@end
#@macro browser_then_terminal
  #@ifhook show_browser
    #@ifhook show_terminal
      #@wait
      #@show_browser
      #@wait
      #@clear
      #@show_terminal
    #@endif
  #@endif
#@end
#@macro start_livecast
  #@ifhook show_slides
    #@ifhook show_terminal
      #@show_slides
      #@clear
      #@print Waiting...
      #@wait_clear
      #@show_terminal
    #@endif
  #@endif
#@end
