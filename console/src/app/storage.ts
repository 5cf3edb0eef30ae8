// Browser storage that may be full or forbidden: reading gives the fallback, writing says whether
// it worked.
export function load<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`dougong.${key}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

export function save(key: string, value: unknown): boolean {
  try {
    localStorage.setItem(`dougong.${key}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** A plain string, stored unquoted because public/boot.js reads it too. */
export function loadText(key: string): string | null {
  try {
    return localStorage.getItem(`dougong.${key}`);
  } catch {
    return null;
  }
}

export function saveText(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`dougong.${key}`);
    else localStorage.setItem(`dougong.${key}`, value);
  } catch {
    // The choice then lasts for this page only.
  }
}
