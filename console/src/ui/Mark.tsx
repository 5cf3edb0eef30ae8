// The mark: three tiers of a dougong, the bracket set that carries a roof without nails. From the
// bottom: base block, short arm, two bearing blocks, long arm, three bearing blocks, beam.
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <path d="M2 3h28v3H2z" />
      <path d="M5 7.5h5l-.9 3.5H5.9zM13.5 7.5h5l-.9 3.5h-3.2zM22 7.5h5l-.9 3.5h-3.2z" />
      <path d="M4 12h24v1c0 2.4-1.9 3.5-4.4 3.5H8.4C5.9 16.5 4 15.4 4 13z" />
      <path d="M9 17.5h5l-.9 3H9.9zM18 17.5h5l-.9 3h-3.2z" />
      <path d="M8 21.5h16v.8c0 2.2-1.700 3.2-4 3.2h-8c-2.300 0-4-1-4-3.2z" />
      <path d="M12 26.5h8l-1.300 3.5h-5.4z" />
    </svg>
  );
}
