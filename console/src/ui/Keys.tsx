/** "g c" as two key caps; "Mod" is Ctrl, or Cmd on a Mac. */
export function Keys({ keys }: { keys: string }) {
  const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  return (
    <span className="keys">
      {keys.split(" ").map((key, index) => (
        <kbd key={index}>{key === "Mod" ? (mac ? "⌘" : "Ctrl") : key}</kbd>
      ))}
    </span>
  );
}
