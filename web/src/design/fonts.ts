// The browser loads a subset only when a character of it is shown; Latin is the only one an English page needs.
import '@fontsource-variable/inter/wght.css'
import '@fontsource-variable/jetbrains-mono/wght.css'
