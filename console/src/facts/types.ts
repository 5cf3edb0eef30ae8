// Facts as /v1/facts tells of them.
export interface Fact {
  id: string;
  subject: string;
  predicate: string;
  object: string;
  confidence: number;
  from_unix_ms: number;
  to_unix_ms: number;
  recorded_unix_ms: number;
  sources: { source: string }[];
}

export interface FactList {
  data: Fact[];
}

export interface NearName {
  name: string;
  depth: number;
}

export interface FactGraph {
  names: NearName[];
  facts: Fact[];
}
