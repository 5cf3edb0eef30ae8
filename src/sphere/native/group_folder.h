#pragma once
// One control group as a folder of small files. It is held open: the way to it through the kernel's
// tree costs more than what is read at its end.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/files/unique_fd.h"

namespace sphere::native {

/// The number after `key` and a space, at the start of a line; 0 when there is none.
std::uint64_t keyed_number(std::string_view text, std::string_view key);

/// Whole, in one call; empty when not there. For files of up to 16 KiB.
std::string read_small(int at, const std::string& path);
bool write_small(int at, const std::string& path, std::string_view text);

/// Copies share what is open.
class GroupFolder {
public:
    GroupFolder() = default;  ///< none: reads nothing, writes fail
    /// Errors: unavailable.
    static base::Result<GroupFolder> make(std::string path);

    explicit operator bool() const { return at_ != nullptr; }
    const std::string& path() const { return path_; }
    int fd() const { return at_->get(); }

    std::string read(const std::string& file) const;
    std::uint64_t number(const std::string& file) const;
    std::uint64_t number(const std::string& file, std::string_view key) const;
    bool write(const std::string& file, std::string_view text) const;
    base::Result<void> limit(const std::string& file, std::string_view value) const;
    base::Result<base::UniqueFd> open(const std::string& name, int flags) const;
    /// Who may move processes in group `below`, or in this one when that is empty.
    bool give(const std::string& below, std::uint32_t owner) const;

private:
    std::string path_;
    std::shared_ptr<const base::UniqueFd> at_;
};

}  // namespace sphere::native
