// Line icons on a 20-unit grid, drawn for this console; colour follows the text.
const paths = {
  chat: "M3.5 4.5h13v9h-7l-3.5 3v-3H3.5z",
  models: "M10 2.8l6.5 3.6v7.2L10 17.2l-6.5-3.6V6.4zM3.5 6.4L10 10l6.5-3.6M10 10v7.2",
  live: "M2.5 11h3.2l2-6 4 10 2.3-7 1.2 3h2.3",
  engine: "M6 6h8v8H6zM8.5 6V3M11.5 6V3M8.5 17v-3M11.5 17v-3M6 8.5H3M6 11.5H3M17 8.5h-3M17 11.5h-3",
  requests: "M3.5 5h13M3.5 10h13M3.5 15h8",
  system: "M3.5 4h13v5h-13zM3.5 11h13v5h-13zM6 6.5h.01M6 13.5h.01",
  box: "M3 4h14v12H3zM6 9l2.5 2L6 13M10.5 13h3.5",
  book: "M3 4.5c2.5-1 4.8-1 7 .5 2.2-1.5 4.5-1.5 7-.5v11c-2.5-1-4.8-1-7 .5-2.2-1.5-4.5-1.5-7-.5zM10 5v11",
  memory: "M4 5.5c0-1.4 2.7-2.5 6-2.5s6 1.1 6 2.5v9c0 1.4-2.7 2.5-6 2.5s-6-1.1-6-2.5zM4 5.5C4 6.9 6.7 8 10 8s6-1.1 6-2.5M4 10c0 1.4 2.7 2.5 6 2.5s6-1.1 6-2.5",
  graph: "M10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM4 3.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM16 3.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM10 15a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM5.2 6l3.3 2.7M14.8 6l-3.3 2.7M10 12v3",
  plus: "M10 4v12M4 10h12",
  send: "M10 16V4M5 9l5-5 5 5",
  stop: "M6 6h8v8H6z",
  copy: "M7 7h9v9H7zM4 13V4h9",
  check: "M4 10.5l4 4 8-9",
  edit: "M4 16l.8-3.4L13 4.4l2.6 2.6-8.2 8.2z",
  retry: "M15.8 8A6.2 6.2 0 1 0 16 12M16 4v4h-4",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10",
  download: "M10 3v9M6 8.5l4 4 4-4M4 16.5h12",
  sliders: "M4 6h7M15 6h1M4 14h1M9 14h7M13 4v4M7 12v4",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1",
  moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5z",
  command: "M4 6l4 4-4 4M10 15h6",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M10 14.5h.01",
  close: "M5 5l10 10M15 5L5 15",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM13 13l4 4",
  menu: "M3.5 5h13M3.5 10h13M3.5 15h13",
  back: "M11.5 4.5L6 10l5.5 5.5",
  down: "M10 4v12M5 11l5 5 5-5",
  pause: "M7 5v10M13 5v10",
  play: "M7 4.5l8 5.5-8 5.5z",
  globe: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM3 10h14M10 3c2.5 2.2 3 4.5 3 7s-.5 4.8-3 7c-2.5-2.2-3-4.5-3-7s.5-4.8 3-7z",
  bell: "M10 3a4.500 4.500 0 0 0-4.500 4.500c0 4-1.500 5-1.500 6h12c0-1-1.500-2-1.500-6A4.500 4.500 0 0 0 10 3zM8.500 16a1.600 1.600 0 0 0 3 0",
  flow: "M4 4h5v4H4zM11 12h5v4h-5zM6.500 8v6H11M9 6h4.500v6",
  branch: "M6 4v8M6 12c0 3 8 1 8-3V6M6 12v4M4.5 4h3M12.5 5h3",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
