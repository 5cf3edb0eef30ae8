#pragma once
// The machine's own disk.

#include "base/files/disk.h"

namespace base {

/// Stateless: one instance, made by app, is passed by reference.
class LinuxDisk final : public Disk {
public:
    Result<std::unique_ptr<DiskFile>> open(const std::string& path, Mode mode) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& dir) override;
    Result<void> make_dir(const std::string& dir) override;
    Result<void> sync_dir(const std::string& dir) override;
    Result<std::unique_ptr<DiskLock>> lock(const std::string& path) override;
};

}  // namespace base
