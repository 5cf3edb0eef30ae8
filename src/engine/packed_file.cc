#include "engine/packed_file.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // the same sums by the widest registers there are
#endif

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/exec/thread_pool.h"
#include "base/files/files.h"
#include "base/files/sha256.h"
#include "engine/kernels/packed.h"
#include "engine/model_files/shards.h"

namespace engine {
namespace {

using base::Code;
using base::Result;
namespace fs = std::filesystem;

constexpr std::size_t kHeadBytes = 4096;
constexpr std::size_t kHeadTextMax = kHeadBytes - 64;  // the rest holds the last line of the end
constexpr std::size_t kChecksumChunkBytes = 1u << 20;
constexpr std::size_t kWriteChunkBytes = 8u << 20;
constexpr std::uint64_t kDiskLeftMin = 1ull << 30;
constexpr std::string_view kSuffix = ".packed";
/// Counts changes of the layout of this file; kernels/packed.h counts those of a matrix.
constexpr int kFileVersion = 4;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

/// The stage that "blk.12.attn_q.weight" belongs to.
std::uint32_t stage_of(std::string_view name, std::uint32_t layers) {
    constexpr std::string_view kLayer = "blk.";
    if (name.starts_with(kLayer)) {
        std::uint32_t layer = 0;
        const char* begin = name.data() + kLayer.size();
        const auto [end, error] = std::from_chars(begin, name.data() + name.size(), layer);
        if (error == std::errc{} && end != begin && layer < layers) return layer;
        return 0;
    }
    // Products with the output or, where that is tied, the embeddings end a pass.
    return name.starts_with("output.") || name.starts_with("token_embd.") ? layers : 0;
}

std::string sha256_of(std::string_view text) {
    base::Sha256 hash;
    hash.update(std::as_bytes(std::span(text)));
    return hash.finish_hex();
}

std::string version_line() {
    return fmt::format("dougong packed weights {}.{}\n", kFileVersion, kPackedLayoutVersion);
}

std::string stamp_text(const base::FileStamp& stamp) {
    return fmt::format("{}/{}/{}", stamp.bytes, stamp.modified_ns, stamp.changed_ns);
}

/// "<files> <stamps> <path of the first>\n": what a model must still be for its side file to be of
/// use. Of several files the stamps are one checksum, so that the line stays short.
std::string model_line(std::span<const base::FileStamp> stamps, const std::string& path) {
    std::string text = stamp_text(stamps.front());
    if (stamps.size() > 1) {
        for (const base::FileStamp& stamp : stamps.subspan(1)) text += "," + stamp_text(stamp);
        text = sha256_of(text);
    }
    return fmt::format("{} {} {}\n", stamps.size(), text, path);
}

/// The same for what is on disk now: `count` is 1 or that of the shards. None when one is missing.
std::optional<std::string> model_line_now(std::size_t count, const std::string& path) {
    const std::vector<std::string> paths =
        count == 1 ? std::vector<std::string>{path} : shard_names(path);
    std::vector<base::FileStamp> stamps;
    for (const std::string& file : paths) {
        const auto stamp = base::stamp_of(file);
        if (!stamp) return std::nullopt;
        stamps.push_back(*stamp);
    }
    if (stamps.size() != count) return std::nullopt;
    return model_line(stamps, path);
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string end_page(std::string_view head, std::span<const std::uint64_t> checksums) {
    std::string page(head);
    page += fmt::format("{:016x}\n", XXH3_64bits(checksums.data(), checksums.size_bytes()));
    page.resize(kHeadBytes);
    return page;
}

std::size_t table_bytes(std::size_t count) {
    return round_up(count * sizeof(std::uint64_t), kHeadBytes);
}

/// The model of a side file of this version is still there as it was when the file was made.
bool is_current(const std::string& path) {
    const auto map = base::MappedFile::open(path);
    if (!map || map->bytes().size() < 2 * kHeadBytes) return false;
    std::string_view text = text_of(map->bytes().first(kHeadBytes));
    if (!text.starts_with(version_line())) return false;
    text.remove_prefix(version_line().size());
    const std::string_view line = text.substr(0, text.find('\n') + 1);
    const std::size_t first = line.find(' ');
    const std::size_t second = line.find(' ', first + 1);
    if (second == std::string_view::npos) return false;
    std::size_t count = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + first, count);
    if (error != std::errc{} || end != line.data() + first) return false;
    const std::string_view model = line.substr(second + 1, line.size() - second - 2);
    return model_line_now(count, std::string(model)) == line;
}

}  // namespace

std::vector<PlannedMatrix> plan_packed(std::span<TensorView* const> matrices,
                                       std::uint32_t layers) {
    std::vector<PlannedMatrix> planned;
    for (TensorView* view : matrices) {
        const std::size_t bytes = packed_bytes(*view);  // whole cache lines: all stay aligned
        if (bytes > 0) planned.push_back({view, 0, bytes, stage_of(view->name, layers)});
    }
    std::ranges::stable_sort(planned, {}, &PlannedMatrix::stage);
    std::size_t offset = 0;
    for (PlannedMatrix& matrix : planned) {
        matrix.offset = offset;
        offset += matrix.bytes;
    }
    return planned;
}

std::size_t packed_bytes_of(std::span<const PlannedMatrix> planned) {
    return planned.empty() ? 0 : planned.back().offset + planned.back().bytes;
}

std::vector<std::uint64_t> packed_checksums(
    base::ThreadPool& pool, std::span<const std::span<const std::byte>> matrices,
    const std::function<void(std::span<const std::byte>)>& before) {
    std::vector<std::span<const std::byte>> chunks;  // of all matrices: no thread waits for one
    std::vector<std::size_t> ends;
    for (std::span<const std::byte> rest : matrices) {
        while (!rest.empty()) {
            chunks.push_back(rest.first(std::min(kChecksumChunkBytes, rest.size())));
            rest = rest.subspan(chunks.back().size());
        }
        ends.push_back(chunks.size());
    }
    std::vector<std::uint64_t> hashes(chunks.size());
    pool.run(chunks.size(), [&](std::size_t i, std::size_t) {
        if (before) before(chunks[i]);
        hashes[i] = XXH3_64bits(chunks[i].data(), chunks[i].size());
    });
    std::vector<std::uint64_t> checksums;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
        checksums.push_back(XXH3_64bits(hashes.data() + begin, (end - begin) * sizeof(hashes[0])));
        begin = end;
    }
    return checksums;
}

Result<PackedFile> PackedFile::describe(std::span<const PlannedMatrix> planned,
                                        const std::string& dir,
                                        std::span<const StampedFile> model_files) {
    const std::string model = fs::absolute(model_files.front().path).lexically_normal().string();
    std::vector<base::FileStamp> stamps;
    for (const StampedFile& file : model_files) stamps.push_back(file.stamp);
    const std::string line = model_line(stamps, model);
    std::string directory;
    for (const PlannedMatrix& m : planned) {
        directory +=
            fmt::format("{} {} {} {} {} {}\n", m.view->name, tensor_type_name(m.view->type),
                        m.view->dims[0], m.view->rows(), m.offset, m.bytes);
    }
    PackedFile file;
    file.path_ = fmt::format("{}/{}{}", dir, sha256_of(model).substr(0, 16), kSuffix);
    file.head_ = version_line() + line + sha256_of(directory) + "\n";
    file.matrices_bytes_ = packed_bytes_of(planned);
    file.count_ = planned.size();
    if (file.head_.size() > kHeadTextMax || line.find('\n') + 1 != line.size()) {
        return base::fail_on(model, Code::invalid_argument,
                             "the path {} is too long or has a line break: its packed weights are "
                             "not kept in a file",
                             model);
    }
    return file;
}

bool PackedFile::map_if_current() {
    Result<base::MappedFile> mapped = base::MappedFile::open(path_);
    const std::size_t table_at = kHeadBytes + round_up(matrices_bytes_, kHeadBytes);
    const std::size_t end_at = table_at + table_bytes(count_);
    if (!mapped || mapped->bytes().size() != end_at + kHeadBytes) return false;
    mapped->advise(base::AccessHint::random);  // its ends only: they come without what lies around
    const std::span<const std::byte> bytes = mapped->bytes();
    if (!text_of(bytes).starts_with(head_)) return false;
    std::vector<std::uint64_t> checksums(count_);
    std::memcpy(checksums.data(), bytes.data() + table_at, count_ * sizeof(checksums[0]));
    if (text_of(bytes.subspan(end_at)) != end_page(head_, checksums)) return false;
    mapped->advise(base::AccessHint::normal);
    map_ = *std::move(mapped);
    checksums_ = std::move(checksums);
    return true;
}

const std::byte* PackedFile::matrices() const {
    return map_.bytes().data() + kHeadBytes;
}

std::vector<std::uint64_t> PackedFile::count_checksums(
    base::ThreadPool& pool, std::span<const PlannedMatrix> planned) const {
    std::vector<std::span<const std::byte>> parts;
    for (const PlannedMatrix& matrix : planned) {
        parts.emplace_back(matrices() + matrix.offset, matrix.bytes);
    }
    return packed_checksums(pool, parts, [this](std::span<const std::byte> chunk) {
        map_.load(static_cast<std::size_t>(chunk.data() - map_.bytes().data()), chunk.size());
    });
}

Result<void> PackedFile::write(std::span<const std::byte> matrices,
                               std::span<const std::uint64_t> checksums,
                               const std::function<bool()>& stop_asked) const {
    const fs::path own(path_);
    base::remove_abandoned(own.parent_path().string(),
                           [&](std::string_view name) { return name == own.filename().string(); });
    const std::uint64_t free = DG_TRY(base::free_bytes(fs::path(path_).parent_path().string()));
    if (free < matrices.size() + kDiskLeftMin) {
        return base::fail_on(path_, Code::resource_exhausted,
                             "{} needs {} bytes and {} are free on its disk, of which {} stay so",
                             path_, matrices.size(), free, kDiskLeftMin);
    }
    base::AtomicFileWriter writer = DG_TRY(base::AtomicFileWriter::create(path_));
    std::string page = head_;
    page.resize(kHeadBytes);
    DG_TRY(writer.write(page));
    for (std::span<const std::byte> rest = matrices; !rest.empty();) {
        if (stop_asked()) return base::fail_on(path_, Code::cancelled, "{} was not needed", path_);
        const std::size_t now = std::min(rest.size(), kWriteChunkBytes);
        DG_TRY(writer.write(rest.first(now)));
        rest = rest.subspan(now);
    }
    std::string table(round_up(matrices.size(), kHeadBytes) - matrices.size(), '\0');
    table.append(reinterpret_cast<const char*>(checksums.data()), checksums.size_bytes());
    table.append(table_bytes(checksums.size()) - checksums.size_bytes(), '\0');
    DG_TRY(writer.write(table));
    DG_TRY(writer.write(end_page(head_, checksums)));
    if (stop_asked()) return base::fail_on(path_, Code::cancelled, "{} was not needed", path_);
    return writer.commit();
}

std::size_t sweep_packed_dir(const std::string& dir) {
    std::error_code error;
    std::vector<std::string> gone;
    for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
        const std::string path = it->path().string();
        std::error_code cannot_tell;
        const bool is_file = it->symlink_status(cannot_tell).type() == fs::file_type::regular;
        if (is_file && path.ends_with(kSuffix) && !is_current(path)) gone.push_back(path);
    }
    const auto removed = std::ranges::count_if(
        gone, [](const std::string& path) { return ::unlink(path.c_str()) == 0; });
    return static_cast<std::size_t>(removed) +
           base::remove_abandoned(dir,
                                  [](std::string_view name) { return name.ends_with(kSuffix); });
}

}  // namespace engine
