#include "flow/blobs/file_blob_store.h"

#include <algorithm>

#include "base/files/sha256.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kLatelyMax = 4'096;
constexpr std::string_view kPart = ".part";

}  // namespace

Result<std::unique_ptr<FileBlobStore>> FileBlobStore::open(base::Disk& disk, std::string dir) {
    DG_TRY(disk.make_dir(dir));
    return std::unique_ptr<FileBlobStore>(new FileBlobStore(disk, std::move(dir)));
}

std::string FileBlobStore::path(RunId run, std::string_view hash) const {
    return dir_ + "/" + to_text(run) + "." + std::string(hash);
}

Result<std::string> FileBlobStore::put(RunId run, std::string_view bytes) {
    std::string hash = base::sha256_hex(bytes);
    const std::string name = path(run, hash);
    std::string part;
    {
        const std::lock_guard lock(mutex_);
        if (lately_.contains(name)) return hash;
        part = name + "." + std::to_string(++parts_) + std::string(kPart);
    }
    const auto written = [&]() -> Result<void> {
        auto file = DG_TRY(disk_.open(part, base::Disk::Mode::fresh));
        DG_TRY(file->write_durably(0, bytes));
        DG_TRY(disk_.rename(part, name));
        return disk_.sync_dir(dir_);
    }();
    if (!written) {
        (void)disk_.remove(part);
        return std::unexpected(written.error());
    }
    const std::lock_guard lock(mutex_);
    if (lately_.size() >= kLatelyMax) lately_.clear();
    lately_.insert(name);
    return hash;
}

Result<std::string> FileBlobStore::get(RunId run, std::string_view hash) {
    const bool good = hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == hash.npos;
    if (!good) return fail(Code::not_found, "'{}' is no hash of a value", hash);
    auto file = disk_.open(path(run, hash), base::Disk::Mode::existing);
    if (!file && file.error().code == Code::not_found) {
        return fail(Code::not_found, "{} has no value {}", to_text(run), hash);
    }
    if (!file) return std::unexpected(file.error());
    std::string bytes(static_cast<std::size_t>(DG_TRY((*file)->size())), '\0');
    const std::size_t read = DG_TRY((*file)->read(0, bytes));
    bytes.resize(read);
    if (base::sha256_hex(bytes) != hash) {
        return fail(Code::data_loss, "the value {} of {} is damaged", hash, to_text(run));
    }
    return bytes;
}

Result<void> FileBlobStore::remove(RunId run, std::string_view hash) {
    const std::string name = path(run, hash);
    {
        const std::lock_guard lock(mutex_);
        lately_.erase(name);
    }
    auto removed = disk_.remove(name);
    if (!removed && removed.error().code == Code::not_found) return {};
    return removed;
}

Result<std::size_t> FileBlobStore::collect(const std::function<Result<bool>(RunId)>& known) {
    std::size_t removed = 0;
    std::optional<RunId> last;
    bool keep = false;
    for (const std::string& name : DG_TRY(disk_.list(dir_))) {  // sorted: a run's stand together
        const auto run = run_id_from(std::string_view(name).substr(0, name.find('.')));
        if (!run) continue;  // not ours
        if (run != last) {
            keep = DG_TRY(known(*run));
            last = run;
        }
        if (keep && !name.ends_with(kPart)) continue;
        DG_TRY(disk_.remove(dir_ + "/" + name));
        ++removed;
    }
    return removed;
}

}  // namespace flow
