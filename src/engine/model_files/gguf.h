#pragma once
// GGUF: the one file a model is. Metadata and tensors are read where they lie in the mapped file;
// open() checks every count, length and offset once, so that later reads cannot leave the map.
// Format: ggml's docs/gguf.md, versions 2 and 3, little-endian.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/files/file_stamp.h"
#include "engine/model_info.h"
#include "engine/tensor/tensor_view.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

/// Metadata value types by their number in the file.
enum class GgufType : std::uint32_t {
    u8 = 0,
    i8 = 1,
    u16 = 2,
    i16 = 3,
    u32 = 4,
    i32 = 5,
    f32 = 6,
    boolean = 7,
    string = 8,
    array = 9,
    u64 = 10,
    i64 = 11,
    f64 = 12,
};
std::string_view gguf_type_name(GgufType type);

/// One key and its value's bytes in the map, checked to be whole.
struct GgufEntry {
    std::string_view key;
    GgufType type = GgufType::u8;
    GgufType element_type = GgufType::u8;  ///< of an array
    std::uint64_t count = 1;               ///< elements of an array
    std::span<const std::byte> value;      ///< as stored; an array's without its type and count
};

/// One of the files that a model lies in.
struct ModelFile {
    std::string path;                  ///< or the name given to from_memory
    base::FileStamp stamp;             ///< when it was opened; of files on disk
    std::span<const std::byte> bytes;  ///< the whole file
    std::uint64_t data_offset = 0;     ///< where tensor data begins
};

/// Immutable and thread-safe after open. Views and entries live as long as this object; moving it
/// does not move them.
class GgufFile {
public:
    /// `path` is a model's only file, or the first of its shards, beside which the others lie
    /// (model_files/shards.h); they are opened too, and their tensors follow the first one's.
    /// Errors: not_found (the file or a shard), data_loss (not GGUF, truncated, bad count or
    /// offset: names the key or tensor; shards that do not belong together), invalid_argument
    /// (a later shard, or a shard under another name), unimplemented (version, byte order, tensor
    /// type: named).
    static base::Result<GgufFile> open(const std::string& path);
    /// Whether the one file at `path` is whole by itself, a shard or not. Errors: as open.
    static base::Result<void> check_one(const std::string& path);
    /// For a model linked into the program. Refers to `bytes`, which must outlive this object;
    /// copies them only when they are not aligned to 32. `name` is used in errors.
    static base::Result<GgufFile> from_memory(std::span<const std::byte> bytes, std::string name);

    ~GgufFile();
    GgufFile(GgufFile&&) noexcept;
    GgufFile& operator=(GgufFile&&) noexcept;

    const std::string& path() const;  ///< or the name given to from_memory
    std::uint32_t version() const;
    std::uint64_t alignment() const;
    std::vector<ModelFile> files() const;  ///< in order; one for most models
    std::uint64_t file_bytes() const;      ///< of all files
    bool on_disk() const;                  ///< path() is the file that is mapped
    /// Pre: on_disk(). The mapped files are still what they were when they were opened.
    bool is_unchanged() const;
    /// Tells the system that a tensor is about to be read. Nothing for from_memory.
    void will_read(const TensorView& tensor) const;
    /// Tells it that single rows of a tensor are read, so that each comes without what lies around
    /// it. Likewise.
    void will_read_single_rows(const TensorView& tensor) const;
    /// Lets the system have a tensor's pages back; later reads fetch them again. Likewise.
    void release_pages(const TensorView& tensor) const;

    /// In file order; of shards the first one's, which has all that is of the model.
    std::span<const GgufEntry> metadata() const;
    const GgufEntry* find(std::string_view key) const;
    bool has(std::string_view key) const { return find(key) != nullptr; }

    // A missing key is not_found; another type, or a number that does not fit, is data_loss. Any
    // integer type serves an integer getter and any number serves get_f32.
    base::Result<std::uint32_t> get_u32(std::string_view key) const;
    base::Result<std::uint64_t> get_u64(std::string_view key) const;
    base::Result<float> get_f32(std::string_view key) const;
    base::Result<bool> get_bool(std::string_view key) const;
    base::Result<std::string> get_string(std::string_view key) const;
    base::Result<std::vector<std::string>> get_strings(std::string_view key) const;
    base::Result<std::vector<float>> get_f32s(std::string_view key) const;
    base::Result<std::vector<std::int32_t>> get_i32s(std::string_view key) const;

    // As above, with a fallback for a missing key. A wrong type is still an error.
    base::Result<std::uint32_t> get_u32_or(std::string_view key, std::uint32_t fallback) const;
    base::Result<float> get_f32_or(std::string_view key, float fallback) const;
    base::Result<bool> get_bool_or(std::string_view key, bool fallback) const;
    base::Result<std::string> get_string_or(std::string_view key, std::string fallback) const;
    /// A number that some models give once and others per layer (`<arch>.attention.head_count_kv`):
    /// one element per layer either way.
    base::Result<std::vector<std::uint32_t>> get_u32_per_layer(std::string_view key,
                                                               std::uint32_t layers) const;

    /// general.architecture.
    base::Result<std::string> architecture() const { return get_string("general.architecture"); }

    /// In file order; data points into the map.
    std::span<const TensorView> tensors() const;
    const TensorView* find_tensor(std::string_view name) const;
    /// Errors: data_loss (the file has no such tensor).
    base::Result<TensorView> tensor(std::string_view name) const;

private:
    struct Impl;
    explicit GgufFile(std::unique_ptr<Impl> impl);
    static base::Result<GgufFile> open_one(const std::string& path);
    base::Result<void> join_shards(std::uint32_t count);
    std::unique_ptr<Impl> impl_;
};

/// The tokenizer.ggml.* keys. What ends a turn by its text only, Tokenizer knows. Errors: not_found
/// (the file has no vocabulary), data_loss (sizes disagree, id out of range: named).
base::Result<Vocabulary> load_vocabulary(const GgufFile& file);

/// What the file says about itself. context_tokens is context_tokens_trained: the engine lowers it.
/// Errors: data_loss (no architecture, or a key has the wrong type).
base::Result<ModelInfo> read_model_info(const GgufFile& file);

}  // namespace engine
