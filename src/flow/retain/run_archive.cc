#include "flow/retain/run_archive.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "flow/run/state.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::uint32_t kSkippable = 0x184d2a5d;  // a frame that zstd reads over
constexpr std::size_t kHeaderBytes = 8, kHeadBytesMax = 1u << 20;
constexpr int kLevel = 6;
constexpr std::string_view kPrefix = "runs-", kSuffix = ".jsonl.zst";

void put_number(std::string& out, std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        out |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    return out;
}

std::string day_of(std::int64_t now_ms) {
    const std::time_t seconds = now_ms / 1'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
}

Result<std::string> packed(std::string_view line) {
    std::string out(ZSTD_compressBound(line.size()), '\0');
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    if (context == nullptr) return fail(Code::resource_exhausted, "zstd has no memory");
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    const std::size_t bytes =
        ZSTD_compress2(context, out.data(), out.size(), line.data(), line.size());
    ZSTD_freeCCtx(context);
    if (ZSTD_isError(bytes) != 0) {
        return fail(Code::internal, "zstd: {}", ZSTD_getErrorName(bytes));
    }
    out.resize(bytes);
    return out;
}

Result<std::string> unpacked(std::string_view frame) {
    constexpr std::uint64_t kLineBytesMax = 4ull << 30;
    const unsigned long long bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
    if (bytes == ZSTD_CONTENTSIZE_ERROR || bytes == ZSTD_CONTENTSIZE_UNKNOWN ||
        bytes > kLineBytesMax) {
        return fail(Code::data_loss, "an archived run does not read as one");
    }
    std::string out(static_cast<std::size_t>(bytes), '\0');
    const std::size_t read = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
    if (ZSTD_isError(read) != 0 || read != out.size()) {
        return fail(Code::data_loss, "an archived run is damaged: {}", ZSTD_getErrorName(read));
    }
    if (out.ends_with('\n')) out.pop_back();
    return out;
}

json::object head_json(const RunHead& head, std::size_t bytes) {
    json::object out{{"id", to_text(head.id)},
                     {"tenant", head.tenant},
                     {"workflow", head.workflow},
                     {"version", head.version},
                     {"status", status_name(head.status)},
                     {"started_unix_ms", head.started_ms},
                     {"finished_unix_ms", head.finished_ms},
                     {"bytes", bytes}};
    if (head.parent) out["parent"] = to_text(*head.parent);
    if (!head.labels.is_null()) out["labels"] = head.labels;
    if (!head.error.empty()) out["error"] = head.error;
    if (!head.idempotency_key.empty()) out["idempotency_key"] = head.idempotency_key;
    return out;
}

std::string_view text_of(const json::object& head, std::string_view name) {
    const json::value* value = head.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
}

/// Up to `bytes` from `offset` on; fewer at the end of the file.
Result<std::string> read_at(const base::DiskFile& file, std::uint64_t offset, std::size_t bytes) {
    std::string out(bytes, '\0');
    out.resize(DG_TRY(file.read(offset, out)));
    return out;
}

}  // namespace

struct RunArchive::Entry {
    json::object head;
    RunId run;
    std::uint64_t frame_at = 0;
    std::size_t frame_bytes = 0;
};

Result<std::unique_ptr<RunArchive>> RunArchive::open(base::Disk& disk, std::string dir) {
    DG_TRY(disk.make_dir(dir));
    auto lock = DG_TRY(disk.lock(dir + "/lock"));
    return std::unique_ptr<RunArchive>(new RunArchive(disk, std::move(dir), std::move(lock)));
}

/// Names of the archive's files, the newest first.
Result<std::vector<std::string>> RunArchive::files() {
    std::vector<std::string> out = DG_TRY(disk_.list(dir_));
    std::erase_if(out, [](const std::string& name) {
        return !name.starts_with(kPrefix) || !name.ends_with(kSuffix);
    });
    std::ranges::reverse(out);
    return out;
}

/// Runs in order, up to the end of what is whole.
Result<void> RunArchive::walk(base::DiskFile& file,
                              const std::function<void(const Entry&)>& each) const {
    const std::uint64_t size = DG_TRY(file.size());
    std::uint64_t at = 0;
    while (at + kHeaderBytes <= size) {
        constexpr std::size_t kGuess = 1'024;  // most heads are within
        std::string bytes = DG_TRY(read_at(file, at, kGuess));
        if (bytes.size() < kHeaderBytes || number_at(bytes, 0) != kSkippable) break;
        const std::size_t head_bytes = number_at(bytes, 4);
        if (head_bytes > kHeadBytesMax) break;
        if (bytes.size() < kHeaderBytes + head_bytes) {
            bytes = DG_TRY(read_at(file, at, kHeaderBytes + head_bytes));
            if (bytes.size() < kHeaderBytes + head_bytes) break;
        }
        const auto head = base::parse_json(std::string_view(bytes).substr(kHeaderBytes, head_bytes),
                                           {.depth_max = 128});
        if (!head || !head->is_object()) break;
        Entry entry{head->get_object(), {}, at + kHeaderBytes + head_bytes, 0};
        const auto run = run_id_from(text_of(entry.head, "id"));
        const json::value* frame_bytes = entry.head.if_contains("bytes");
        if (!run || frame_bytes == nullptr || !frame_bytes->is_int64()) break;
        entry.run = *run;
        entry.frame_bytes = static_cast<std::size_t>(frame_bytes->get_int64());
        if (entry.frame_bytes > size - entry.frame_at) break;
        at = entry.frame_at + entry.frame_bytes;
        each(entry);
    }
    return {};
}

Result<void> RunArchive::add(std::span<const ArchivedRun> runs, std::int64_t now_ms) {
    if (runs.empty()) return {};
    std::string bytes;
    for (const ArchivedRun& run : runs) {
        const std::string frame = DG_TRY(packed(run.line + "\n"));
        const std::string head = json::serialize(head_json(run.head, frame.size()));
        put_number(bytes, kSkippable);
        put_number(bytes, static_cast<std::uint32_t>(head.size()));
        bytes += head;
        bytes += frame;
    }
    const std::lock_guard lock(mutex_);
    const std::string day = std::string(kPrefix) + day_of(now_ms);
    if (!name_.starts_with(day)) {
        const std::vector<std::string> others = DG_TRY(files());
        std::uint32_t number = 0;
        do {
            name_ = fmt::format("{}-{:04}{}", day, ++number, kSuffix);
        } while (std::ranges::count(others, name_) != 0);  // an old one is never written to
        end_ = 0;
    }
    const std::string path = dir_ + "/" + name_;
    auto opened = disk_.open(path, base::Disk::Mode::existing);
    const bool fresh = !opened && opened.error().code == Code::not_found;
    if (fresh) opened = disk_.open(path, base::Disk::Mode::fresh);
    auto file = DG_TRY(std::move(opened));
    const auto written = [&]() -> Result<void> {
        if (DG_TRY(file->size()) > end_) DG_TRY(file->resize(end_));
        DG_TRY(file->write_durably(end_, bytes));
        return disk_.sync_dir(dir_);
    }();
    if (!written) return written;  // the next add begins at the same place
    end_ += bytes.size();
    return {};
}

Result<std::vector<json::object>> RunArchive::list(const ArchiveFilter& filter) {
    std::map<RunId, json::object> found;
    for (const std::string& name : DG_TRY(files())) {
        auto file = DG_TRY(disk_.open(dir_ + "/" + name, base::Disk::Mode::existing));
        DG_TRY(walk(*file, [&](const Entry& entry) {
            const bool wanted =
                text_of(entry.head, "tenant") == filter.tenant &&
                (filter.workflow.empty() || text_of(entry.head, "workflow") == filter.workflow) &&
                (!filter.after || entry.run < *filter.after);
            if (!wanted) return;
            json::object& kept = found[entry.run];
            if (!kept.empty() && text_of(kept, "file") != name) return;  // a newer file has it, too
            kept = entry.head;
            kept["file"] = name;
            if (found.size() > filter.limit) found.erase(found.begin());
        }));
    }
    std::vector<json::object> out;
    for (auto each = found.rbegin(); each != found.rend(); ++each) {
        out.push_back(std::move(each->second));
    }
    return out;
}

Result<std::string> RunArchive::read(std::string_view tenant, RunId run) {
    std::optional<base::Error> damaged;
    for (const std::string& name : DG_TRY(files())) {
        auto file = DG_TRY(disk_.open(dir_ + "/" + name, base::Disk::Mode::existing));
        std::optional<Entry> found;
        DG_TRY(walk(*file, [&](const Entry& entry) {
            if (entry.run == run && text_of(entry.head, "tenant") == tenant) found = entry;
        }));
        if (!found) continue;
        auto line = unpacked(DG_TRY(read_at(*file, found->frame_at, found->frame_bytes)));
        if (line) return line;
        // A crash may have torn it before it was there for good; then it was added again.
        if (!damaged) damaged = std::move(line).error().with_context(dir_ + "/" + name);
    }
    if (damaged) return std::unexpected(*std::move(damaged));
    return base::fail_on("id", Code::not_found, "the archive has no run '{}'", to_text(run));
}

}  // namespace flow
