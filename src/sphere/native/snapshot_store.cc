#include "sphere/native/snapshot_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "base/files/files.h"
#include "base/files/sha256.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/native/tree_file.h"

namespace sphere::native {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::UniqueFd;

constexpr std::string_view kLayer = "layer-", kRecord = "snap-", kEnding = ".json",
                           kUnnamed = "unnamed-";
constexpr std::uint64_t kRecordBytesMax = 64u << 10;
constexpr std::size_t kReadBytes = 1u << 20;

bool is_id(std::string_view id) {
    return id.starts_with(kRecord) && id.size() <= 64 &&
           std::ranges::all_of(id.substr(kRecord.size()), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
           });
}

bool is_digest(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

json::object describe(const StoredSnapshot& stored) {
    const SnapshotInfo& info = stored.info;
    json::object record = {{"version", 1},
                           {"id", info.id},
                           {"from", info.from},
                           {"name", info.name},
                           {"tenant", info.tenant},
                           {"created_unix_us", info.created_unix_ns / 1000},
                           {"bytes", info.bytes},
                           {"entries", info.entries},
                           {"consistency", info.consistency},
                           {"layer", stored.layer},
                           {"packed_bytes", stored.packed_bytes}};
    record["check"] = base::sha256_hex(base::to_text(record));
    return record;
}

Result<StoredSnapshot> read_record(const std::string& text) {
    const json::value value = DG_TRY(base::parse_json(text));
    if (!value.is_object()) return fail(Code::data_loss, "no object");
    StoredSnapshot stored;
    SnapshotInfo& info = stored.info;
    int version = 0;
    std::string check;
    std::int64_t created_us = 0;
    base::ObjectReader in(value.get_object());
    in.integer<int>("version", version, 1, 1);
    in.text("id", info.id, 64);
    in.text("from", info.from, 256);
    in.text("name", info.name, 1024);
    in.text("tenant", info.tenant, 1024);
    in.integer<std::int64_t>("created_unix_us", created_us, 0, 1ll << 53);
    in.integer<std::uint64_t>("bytes", info.bytes, 0, 1ull << 50);
    in.integer<std::uint64_t>("entries", info.entries, 0, 1ull << 50);
    in.text("consistency", info.consistency, 64);
    in.text("layer", stored.layer, 64);
    in.integer<std::uint64_t>("packed_bytes", stored.packed_bytes, 0, 1ull << 50);
    in.text("check", check, 64);
    DG_TRY(in.done());
    info.created_unix_ns = created_us * 1000;
    info.persist = true;
    json::object checked = value.get_object();
    checked.erase("check");
    if (!is_id(info.id) || !is_digest(stored.layer) ||
        check != base::sha256_hex(base::to_text(checked))) {
        return fail(Code::data_loss, "it is not what its checksum says");
    }
    return stored;
}

}  // namespace

std::string SnapshotStore::record_path(const SnapshotId& id) const {
    return fmt::format("{}/{}{}", options_.folder, id, kEnding);
}
std::string SnapshotStore::layer_path(const std::string& digest) const {
    return fmt::format("{}/{}{}", options_.folder, kLayer, digest);
}

Result<UniqueFd> SnapshotStore::lock() const {
    const std::string path = options_.folder + "/lock";
    UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
    while (file && ::flock(file.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
    }
    if (file) return file;
    return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
}

std::uint64_t SnapshotStore::packed_bytes() const {
    std::uint64_t total = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder, ignored)) {
        if (!entry.path().filename().string().starts_with(kLayer)) continue;
        std::error_code gone;
        const std::uint64_t bytes = entry.file_size(gone);
        if (!gone) total += bytes;
    }
    return total;
}

Result<void> SnapshotStore::check_room(std::uint64_t more_bytes) const {
    const std::size_t count = list().size();
    const std::uint64_t bytes = packed_bytes();
    if (count < options_.snapshots_max && bytes + more_bytes <= options_.bytes_max) return {};
    return fail(Code::resource_exhausted,
                "{} snapshots with {} bytes are kept on disk, at most {} with {}, and this one "
                "needs {} or more; remove one, or raise kept_snapshots_max or "
                "kept_snapshot_bytes_max",
                count, bytes, options_.snapshots_max, options_.bytes_max, more_bytes);
}

Result<StoredSnapshot> SnapshotStore::keep(const SnapshotInfo& info, int tree) const {
    DG_TRY(base::make_dirs(options_.folder));
    ::chmod(options_.folder.c_str(), 0700);
    DG_TRY(check_room(1));
    const std::string unnamed = fmt::format("{}/{}{}", options_.folder, kUnnamed, info.id);
    auto file = DG_TRY(base::AtomicFileWriter::create(unnamed));
    base::Sha256 digest;
    const std::uint64_t before = packed_bytes();
    const TreeSize size = DG_TRY(write_tree(tree, [&](std::string_view bytes) -> Result<void> {
        digest.update(std::as_bytes(std::span(bytes)));
        if (before + file.bytes_written() + bytes.size() > options_.bytes_max) {
            return check_room(file.bytes_written() + bytes.size());
        }
        return file.write(bytes);
    }));
    StoredSnapshot stored{info, digest.finish_hex(), file.bytes_written()};
    stored.info.persist = true;
    stored.info.bytes = size.bytes;
    stored.info.entries = size.entries;

    const UniqueFd held = DG_TRY(lock());
    const std::string layer = layer_path(stored.layer);
    const bool is_new = !base::path_exists(layer);
    DG_TRY(check_room(is_new ? stored.packed_bytes : 0));
    if (is_new) {
        DG_TRY(file.commit());
        if (::rename(unnamed.c_str(), layer.c_str()) != 0) {
            return fail(Code::unavailable, "{}: {}", layer, std::strerror(errno));
        }
        DG_TRY(base::sync_dir(options_.folder));
    }
    if (auto named =
            base::write_file_atomically(record_path(info.id), base::to_text(describe(stored)));
        !named) {
        remove_unnamed();
        return std::unexpected(std::move(named).error());
    }
    return stored;
}

std::vector<StoredSnapshot> SnapshotStore::list() const {
    std::size_t damaged = 0;
    return read_all(damaged);
}

std::vector<StoredSnapshot> SnapshotStore::read_all(std::size_t& damaged) const {
    std::vector<StoredSnapshot> all;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder, ignored)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(kRecord) || !name.ends_with(kEnding)) continue;
        auto stored = find(name.substr(0, name.size() - kEnding.size()));
        if (stored) {
            all.push_back(std::move(*stored));
        } else if (stored.error().code != Code::not_found) {
            ++damaged;
        }
    }
    std::ranges::sort(all, {}, [](const StoredSnapshot& each) {
        return std::tuple(each.info.created_unix_ns, each.info.id);
    });
    return all;
}

Result<StoredSnapshot> SnapshotStore::find(const SnapshotId& id) const {
    const std::string path = record_path(id);
    auto text = is_id(id) ? base::read_file(path, kRecordBytesMax)
                          : Result<std::string>(fail(Code::not_found, "no id"));
    if (!text) return fail_on(id, Code::not_found, "snapshot {} does not exist", id.substr(0, 64));
    auto stored = read_record(*text);
    if (stored && stored->info.id == id) return stored;
    return fail_on(id, Code::data_loss, "the record of snapshot {} is damaged: {}: {}", id, path,
                   stored ? "it is another's" : stored.error().message);
}

Result<TreeSize> SnapshotStore::restore(const StoredSnapshot& stored, int tree,
                                        std::uint32_t owner) const {
    const std::string path = layer_path(stored.layer);
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
        return fail_on(stored.info.id, Code::data_loss, "snapshot {} has lost its files: {}: {}",
                       stored.info.id, path, std::strerror(errno));
    }
    base::Sha256 digest;
    std::string buffer;
    std::size_t at = 0;
    const auto more = [&]() -> Result<bool> {
        buffer.resize(kReadBytes);
        ssize_t got = 0;
        while ((got = ::read(file.get(), buffer.data(), buffer.size())) < 0 && errno == EINTR) {
        }
        if (got < 0) return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
        buffer.resize(static_cast<std::size_t>(got));
        digest.update(std::as_bytes(std::span(buffer)));
        at = 0;
        return got > 0;
    };
    auto made = read_tree(
        [&](char* out, std::size_t bytes) -> Result<void> {
            while (bytes > 0) {
                if (at == buffer.size() && !DG_TRY(more())) {
                    return fail(Code::data_loss, "it ends early");
                }
                const std::size_t n = std::min(bytes, buffer.size() - at);
                std::memcpy(out, buffer.data() + at, n);
                at += n;
                out += n;
                bytes -= n;
            }
            return {};
        },
        tree, owner);
    const bool full = !made && made.error().code == Code::resource_exhausted;
    if (full) return made;
    while (DG_TRY(more())) {
    }
    // A wrong digest explains whatever reading it met.
    if (digest.finish_hex() == stored.layer) return made;
    return fail_on(stored.info.id, Code::data_loss,
                   "the files of snapshot {} are not what was kept: {} is damaged; remove the "
                   "snapshot",
                   stored.info.id, path);
}

Result<void> SnapshotStore::remove(const SnapshotId& id) const {
    const std::string path = record_path(id);
    if (!is_id(id) || !base::path_exists(path)) {
        return fail_on(id, Code::not_found, "snapshot {} does not exist", id.substr(0, 64));
    }
    const UniqueFd held = DG_TRY(lock());
    if (::unlink(path.c_str()) != 0) {
        return fail_on(id, errno == ENOENT ? Code::not_found : Code::unavailable, "{}: {}", path,
                       std::strerror(errno));
    }
    // What is told as removed must not come back after a power cut.
    DG_TRY(base::sync_dir(options_.folder));
    remove_unnamed();
    return {};
}

std::size_t SnapshotStore::remove_unnamed() const {
    std::set<std::string> named;
    std::size_t damaged = 0;
    for (const StoredSnapshot& stored : read_all(damaged)) {
        named.insert(std::string(kLayer) + stored.layer);
    }
    std::size_t removed = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder, ignored)) {
        const std::string name = entry.path().filename().string();
        const bool is_layer =
            name.starts_with(kLayer) && is_digest(std::string_view(name).substr(kLayer.size()));
        // Between its two names a layer is held by the lock, as this is.
        const bool between =
            name.starts_with(kUnnamed) && is_id(std::string_view(name).substr(kUnnamed.size()));
        // Whose layers a damaged record names, nobody knows.
        if ((is_layer && damaged == 0 && !named.contains(name)) || between) {
            removed += ::unlink(entry.path().c_str()) == 0 ? 1 : 0;
        }
    }
    return removed;
}

std::size_t SnapshotStore::sweep() const {
    if (!base::path_exists(options_.folder)) return 0;
    const auto held = lock();
    if (!held) return 0;
    const std::size_t abandoned =
        base::remove_abandoned(options_.folder, [](std::string_view target) {
            return target.starts_with(kUnnamed) || target.starts_with(kRecord);
        });
    return abandoned + remove_unnamed();
}

}  // namespace sphere::native
