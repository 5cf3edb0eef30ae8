#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "sphere/files/archive.h"
#include "sphere/files/beneath.h"
#include "sphere/files/folder.h"
#include "sphere/files/gzip_stream.h"
#include "sphere/files/name_text.h"
#include "sphere/files/tar_format.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kReadBytes = 64u << 10;

class Packer {
public:
    Packer(const Workspace& workspace, const ArchiveSink& sink, const PackOptions& options)
        : workspace_(workspace), sink_(sink), options_(options) {
        if (options.gzip) gzip_.emplace();
    }

    Result<ArchiveSummary> run(std::string_view name) {
        const auto parts = DG_TRY(split_name(name));
        skip_ = parts.empty() ? 0 : parts.size() - 1;
        const Entry entry = DG_TRY(workspace_.stat(name));
        if (entry.type != EntryType::folder) {
            DG_TRY(add(parts, entry));
        } else {
            DG_TRY(add_tree(parts, entry));
        }
        DG_TRY(out(tar_end()));
        if (gzip_) DG_TRY(gzip_->feed("", sink_, true));
        return summary_;
    }

private:
    Result<void> out(std::string_view bytes) {
        return gzip_ ? gzip_->feed(bytes, sink_) : sink_(bytes);
    }

    Result<void> add_tree(const std::vector<std::string>& start, const Entry& top) {
        if (!start.empty()) DG_TRY(add(start, top));
        std::vector<std::vector<std::string>> waiting{start};
        while (!waiting.empty()) {
            const std::vector<std::string> folder = std::move(waiting.back());
            waiting.pop_back();
            auto open =
                open_beneath(workspace_.root(), folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            if (!open) continue;  // gone since it was seen
            const auto content =
                DG_TRY(read_folder(std::move(*open), folder, options_.limits.entries_max + 1));
            for (const Entry& entry : content.entries) {
                std::vector<std::string> parts = folder;
                parts.push_back(entry.name);
                DG_TRY(add(parts, entry));
                if (entry.type == EntryType::folder) waiting.push_back(std::move(parts));
            }
        }
        return {};
    }

    Result<void> add(const std::vector<std::string>& parts, const Entry& entry) {
        if (entry.type == EntryType::other) return {};
        if (++entries_ > options_.limits.entries_max) {
            return too_large("entries", options_.limits.entries_max);
        }
        if (parts.size() - skip_ > options_.limits.depth_max) {
            return too_large("folders within each other", options_.limits.depth_max);
        }
        TarHead head;
        for (std::size_t i = skip_; i < parts.size(); ++i) {
            head.name += (head.name.empty() ? "" : "/") + parts[i];
        }
        if (head.name.size() > options_.limits.name_bytes_max) {
            return too_large("bytes in a name", options_.limits.name_bytes_max);
        }
        head.mode = entry.mode & 0777u;
        head.modified_unix_s = entry.modified_unix_ns / 1'000'000'000;
        switch (entry.type) {
            case EntryType::folder:
                head.type = '5';
                head.name += '/';
                ++summary_.folders;
                return out(tar_head(head));
            case EntryType::link:
                head.type = '2';
                head.link_target = entry.link_target;
                ++summary_.links;
                return out(tar_head(head));
            default:
                return add_file(parts, head);
        }
    }

    Result<void> add_file(const std::vector<std::string>& parts, TarHead& head) {
        auto file = open_beneath(workspace_.root(), parts, O_RDONLY | O_NOFOLLOW);
        if (!file) return {};  // gone, or replaced by a link, since it was seen
        struct stat info {};
        if (::fstat(file->get(), &info) != 0) return fail_name(errno, "stat", parts);
        if (!S_ISREG(info.st_mode)) return {};
        head.bytes = static_cast<std::uint64_t>(info.st_size);
        if (head.bytes > options_.limits.bytes_max - summary_.bytes) {
            return too_large("bytes of files", options_.limits.bytes_max);
        }
        summary_.bytes += head.bytes;
        ++summary_.files;
        DG_TRY(out(tar_head(head)));
        std::string buffer(kReadBytes, '\0');
        for (std::uint64_t left = head.bytes; left != 0;) {
            const std::size_t wanted =
                static_cast<std::size_t>(std::min<std::uint64_t>(left, kReadBytes));
            const ssize_t n = ::read(file->get(), buffer.data(), wanted);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_name(errno, "read", parts);
            const std::size_t got = n == 0 ? wanted : static_cast<std::size_t>(n);
            if (n == 0) std::fill_n(buffer.begin(), wanted, '\0');
            DG_TRY(out(std::string_view(buffer).substr(0, got)));
            left -= got;
        }
        return out(tar_padding(head.bytes));
    }

    static std::unexpected<base::Error> too_large(std::string_view what, std::uint64_t limit) {
        return base::fail(Code::payload_too_large, "what is to be packed has more than {} {}",
                          limit, what);
    }

    const Workspace& workspace_;
    const ArchiveSink& sink_;
    const PackOptions& options_;
    std::optional<GzipWriter> gzip_;
    std::size_t skip_ = 0;
    std::uint64_t entries_ = 0;
    ArchiveSummary summary_;
};

}  // namespace

Result<ArchiveSummary> pack(const Workspace& workspace, std::string_view name,
                            const ArchiveSink& sink, const PackOptions& options) {
    return Packer(workspace, sink, options).run(name);
}

}  // namespace sphere::files
