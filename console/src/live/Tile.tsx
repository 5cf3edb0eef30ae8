// One figure with its name and a remark.
export function Tile({ label, value, note }: { label: string; value: string; note: string }) {
  return (
    <div className="card tile">
      <dt>{label}</dt>
      <dd>
        <span className="tile-value number">{value}</span>
        <span className="muted small">{note}</span>
      </dd>
    </div>
  );
}
