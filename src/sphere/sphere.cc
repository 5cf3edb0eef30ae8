#include "sphere/sphere.h"

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/core/rng.h"

namespace sphere {
namespace {

using base::Code;

/// Passes everything on and lets one thread wait for the end.
class WaitingSink final : public ExecSink {
public:
    explicit WaitingSink(ExecSink& to) : to_(to) {}

    void on_output(Stream stream, std::string_view bytes) override { to_.on_output(stream, bytes); }
    void on_end(const ExecResult& result) override {
        to_.on_end(result);
        const std::lock_guard lock(mutex_);
        result_ = result;
        ended_.notify_one();  // under the lock: the waiter destroys this when it has the result
    }
    ExecResult wait() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [&] { return result_.has_value(); });
        return *result_;
    }

private:
    ExecSink& to_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::optional<ExecResult> result_;
};

/// 20 of them that nobody can guess.
std::string secret_letters() {
    std::string letters;
    while (letters.size() < 20) {
        std::uint64_t bits = base::entropy64();
        for (int i = 0; i < 10; ++i, bits /= 26) letters += static_cast<char>('a' + bits % 26);
    }
    return letters;
}

}  // namespace

SandboxId make_sandbox_id() {
    return "sbx-" + secret_letters();
}
SnapshotId make_snapshot_id() {
    return "snap-" + secret_letters();
}

std::string_view sandbox_state_name(SandboxState state) {
    constexpr std::array names = {"creating", "ready", "executing", "paused", "ending", "ended"};
    const auto at = static_cast<std::size_t>(state);
    return at < names.size() ? names[at] : "unknown";
}

base::Result<ExecResult> Sphere::exec(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) {
    WaitingSink waiting(sink);
    DG_TRY(start(id, spec, waiting));
    return waiting.wait();
}

base::Result<void> Sphere::rest(const SandboxId&, ExecId) {
    return {};
}

base::Result<ExecId> Sphere::fork_command(const SandboxId& id, ExecId, ExecSink&) {
    return base::fail_on(id, Code::unimplemented,
                         "this sandbox's level of isolation forks no command; full does");
}

base::Result<void> Sphere::admit_file(const SandboxId&, const FileAccess&) {
    return {};
}

base::Result<int> Sphere::dial(const SandboxId& id, std::uint16_t) {
    return base::fail_on(id, Code::unimplemented, "this backend opens no ports of a sandbox");
}

base::Result<void> Sphere::set_network(const SandboxId& id, const NetworkPolicy&) {
    return base::fail_on(id, Code::unimplemented, "this backend changes no network of a sandbox");
}

base::Result<SnapshotInfo> Sphere::snapshot(const SandboxId& id, const SnapshotRequest&) {
    return base::fail_on(id, Code::unimplemented, "this backend keeps no snapshots");
}

base::Result<void> Sphere::remove_snapshot(const SnapshotId& id) {
    return base::fail_on(id, Code::not_found, "snapshot {} does not exist", id);
}

base::Result<ImageInfo> Sphere::import_image(const std::string&, const std::string&) {
    return base::fail(Code::unimplemented, "this backend keeps no images");
}

base::Result<void> Sphere::remove_image(const std::string& digest) {
    return base::fail_on(digest, Code::not_found, "image {} is not unpacked here", digest);
}

base::Result<SandboxId> Sphere::fork(const SandboxId& id, const Secrets& secrets) {
    SandboxSpec spec = DG_TRY(info(id)).spec;
    spec.name.clear();
    spec.snapshot = DG_TRY(snapshot(id, SnapshotRequest{.name = "fork"})).id;
    auto made = create(spec, secrets);
    DG_TRY(remove_snapshot(spec.snapshot));
    return made;
}

}  // namespace sphere
