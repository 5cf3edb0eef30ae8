#include "base/journal/journal.h"

#include <utility>

#include "base/core/rng.h"
#include "base/journal/journal_impl.h"

namespace base::journal {
namespace {

constexpr std::uint64_t kSegmentUnit = 4096;
constexpr std::uint64_t kSegmentBytesMax = 1u << 30;

Result<void> check(const Options& options) {
    const std::uint64_t bytes = options.segment_bytes;
    if (bytes < kSegmentUnit || bytes > kSegmentBytesMax || bytes % kSegmentUnit != 0) {
        return fail_on("segment_bytes", Code::invalid_argument,
                       "a segment of {} bytes; choose a multiple of {} up to {}", bytes,
                       kSegmentUnit, kSegmentBytesMax);
    }
    return {};
}

}  // namespace

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, std::string dir,
                                               const Options& options) {
    DG_TRY(check(options));
    DG_TRY(disk.make_dir(dir));
    if (!options.archive_dir.empty()) DG_TRY(disk.make_dir(options.archive_dir));
    std::unique_ptr<DiskLock> lock = DG_TRY(disk.lock(dir + "/" + std::string(kLockName)));
    Recovered found = DG_TRY(recover(disk, dir, options.segment_bytes));
    if (found.id == 0) found.id = options.id != 0 ? options.id : entropy64() | 1;
    auto impl =
        std::make_unique<Impl>(disk, std::move(dir), options, std::move(found), std::move(lock));
    DG_TRY(impl->start());
    return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

Result<Address> Journal::append(const Group& group, Done done) {
    return impl_->append(group, std::move(done));
}
Result<Address> Journal::commit(const Group& group) {
    return impl_->commit(group);
}
void Journal::flush() {
    impl_->flush();
}
Result<std::string> Journal::read(Address address) const {
    return impl_->read(address);
}
Result<void> Journal::scan(Address from, const Each& each) const {
    return impl_->scan(from, each);
}
Result<void> Journal::drop_before(Address address) {
    return impl_->drop_before(address);
}
Address Journal::begin() const {
    return impl_->begin();
}
Address Journal::end() const {
    return impl_->end();
}
std::uint64_t Journal::segment_bytes() const {
    return impl_->segment_bytes();
}
std::uint64_t Journal::group_bytes_max() const {
    return impl_->group_bytes_max();
}
Stats Journal::stats() const {
    return impl_->stats();
}

}  // namespace base::journal
