#pragma once
// Boxes over the launcher: Sphere by namespaces, Landlock, seccomp and control groups of this host.
//
// Threads: callers change state under `mutex_`; one loop thread owns epoll, reads every socket and
// stream and calls the sinks (never under the lock); one keeper thread fills the pool and ends
// boxes whose time is over. Lock order: only `mutex_`. A box leaves the table in two steps: the
// loop sees its last process end and reports its commands (`gone`), then whoever waits removes its
// groups.

#include <atomic>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "sphere/launcher/channel.h"
#include "sphere/native/box.h"
#include "sphere/native/command_words.h"
#include "sphere/native/host_inspection.h"
#include "sphere/native/leftovers.h"
#include "sphere/native/pool_demand.h"
#include "sphere/native/snapshot_store.h"
#include "sphere/native/turns.h"

namespace sphere::native {

class NativeSphere final : public Sphere {
public:
    static base::Result<std::unique_ptr<Sphere>> open(const SphereOptions& options,
                                                      const base::Clock& clock,
                                                      Isolation level = Isolation::full);
    ~NativeSphere() override;

    using Sphere::create;
    using Sphere::snapshot;
    base::Result<SandboxId> create(const SandboxSpec& spec, const Secrets& secrets) override;
    base::Result<void> destroy(const SandboxId& id) override;
    base::Result<ExecId> start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) override;
    base::Result<void> write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                   bool end_of_file) override;
    base::Result<void> resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                  std::uint16_t rows) override;
    base::Result<void> signal(const SandboxId& id, ExecId exec, int number) override;
    base::Result<void> rest(const SandboxId& id, ExecId exec) override;
    base::Result<ExecId> fork_command(const SandboxId& id, ExecId exec, ExecSink& sink) override;
    base::Result<void> pause(const SandboxId& id) override;
    base::Result<void> resume(const SandboxId& id) override;
    base::Result<SandboxInfo> info(const SandboxId& id) const override;
    std::vector<SandboxInfo> list() const override;
    PoolState pool() const override;
    std::uint32_t emergency_stop(const StopScope& scope) override;
    base::Result<void> lift_stop(const StopScope& scope) override;
    base::Result<int> open_workspace(const SandboxId& id) override;
    base::Result<SnapshotInfo> snapshot(const SandboxId& id,
                                        const SnapshotRequest& request) override;
    std::vector<SnapshotInfo> snapshots() const override;
    base::Result<void> remove_snapshot(const SnapshotId& id) override;
    std::vector<ImageInfo> images() const override;
    base::Result<ImageInfo> import_image(const std::string& path, const std::string& name) override;
    base::Result<void> remove_image(const std::string& digest) override;
    base::Result<int> dial(const SandboxId& id, std::uint16_t port) override;
    base::Result<void> set_network(const SandboxId& id, const NetworkPolicy& policy) override;

private:
    using BoxPtr = std::shared_ptr<Box>;
    using Lock = std::unique_lock<std::mutex>;

    /// What a descriptor in epoll belongs to.
    struct Watch {
        enum class Kind { wake, launcher, init, life, input, output, errors, warmth } kind;
        BoxPtr box;
        ExecId exec = 0;
    };

    NativeSphere(const SphereOptions& options, const base::Clock& clock, ProbeAnswers answers,
                 Isolation level);
    bool is_plain() const { return level_ == Isolation::process; }
    base::Result<void> begin();
    base::Result<void> start_launcher_process();

    // Making and ending boxes (box_life.cc).
    /// With a predecessor, whose place it is to take: in its groups, with its /tmp and /dev/shm.
    base::Result<BoxPtr> make_box(const SandboxSpec& spec, Beginning beginning = {},
                                  const Box* predecessor = nullptr);
    /// Folders for a box of level process.
    base::Result<void> make_box_folders(Box& box);
    void remove_box_folders(const Box& box);
    base::Result<void> ask_launcher(Box& box, int init_socket, std::uint64_t keep_from);
    /// A box on a snapshot's layers or, where this kernel cannot, on a copy of them.
    base::Result<BoxPtr> make_box_from(const SandboxSpec& spec);
    BoxPtr take_from_pool(const SandboxSpec& spec);
    base::Result<void> publish(const BoxPtr& box, const SandboxSpec& spec, const Secrets& secrets);
    /// Why a stop forbids this, if one does. Pre: locked.
    base::Result<void> check_stops(const SandboxSpec& spec, const SandboxId& id) const;
    /// Another box's that has ended, or new ones.
    base::Result<void> give_groups(Box& box);
    /// For another box. Pre: the box is gone and out of the tables. False: to be removed.
    bool keep_groups(Box& box);
    /// Kills everything in it. Pre: locked.
    void kill_box(Box& box, EndReason reason);
    void kill_tree(Box& box);
    /// Waits until it is gone and takes it out of the tables; false when another thread did. Pre:
    /// kill_box was called.
    bool take_out(Lock& lock, const BoxPtr& box);
    /// Without the lock, once, after take_out.
    void tell_end(const Box& box) const;
    void remove_traces(Box& box);
    /// take_out, and removes its groups without the lock.
    void bury(Lock& lock, const BoxPtr& box);
    base::Result<BoxPtr> find(const SandboxId& id) const;
    base::Result<Exec*> find_running(Box& box, ExecId exec) const;
    SandboxInfo describe(const Box& box) const;

    // Snapshots (snapshots.cc).
    struct LauncherAnswer {
        launcher::Step step = launcher::Step::none;
        int error = 0;
        base::UniqueFd fd;
    };
    /// One question to the launcher and its answer. Errors: unavailable.
    base::Result<LauncherAnswer> ask(Lock& lock, std::uint64_t request,
                                     const std::function<bool()>& send);
    base::Result<void> seal(Lock& lock, const Box& box, bool read_only);
    /// The box, once nobody else holds it, held. Pre: locked.
    base::Result<BoxPtr> hold(Lock& lock, const SandboxId& id);
    /// Makes what an idle box has written a layer and gives the box a new one on top. `box` is
    /// then the one that took its place.
    base::Result<Beginning> seal_workspace(Lock& lock, BoxPtr& box);
    base::Result<Beginning> copy_workspace(Lock& lock, const BoxPtr& box);
    /// An empty layer of the launcher's, as a folder.
    base::Result<base::UniqueFd> make_layer(Lock& lock, std::uint64_t bytes, std::uint64_t inodes,
                                            std::uint32_t host_id);
    /// Writes a snapshot's files to disk. Without the lock.
    base::Result<SnapshotInfo> persist(const KeptSnapshot& kept, const SandboxSpec& spec);
    /// A kept snapshot's files in memory, from disk when they are not there. Without the lock.
    base::Result<Beginning> load_snapshot(const StoredSnapshot& stored);
    base::Result<Beginning> files_of(const SandboxSpec& spec);
    /// Lets go of what is on disk too.
    void drop_loaded(Lock& lock);
    base::Result<void> take_place(Lock& lock, const BoxPtr& old, const BoxPtr& successor);
    /// Orders it; without a tree the processes stop a moment later.
    bool set_frozen(Box& box, bool frozen);
    /// Nothing is in it but its init.
    bool is_alone(const Box& box) const;
    // The network (box_network.cc).
    /// Has the broker serve it, where its network mode needs one.
    base::Result<void> serve(Box& box, const SandboxSpec& spec, const Secrets& secrets);
    base::Result<egress::Broker*> broker();
    /// Reports what a box with a broker sent past it since the last time. On the loop, unlocked.
    void tell_closed_ports(Box& box) const;
    base::Result<base::UniqueFd> ask_init_to_dial(Lock& lock, Box& box, std::uint16_t port,
                                                  bool v6);
    /// The message an init sends about a socket, its descriptor with it. False: another message.
    bool take_socket(Box& box, launcher::Packet& packet);

    // Boxes that wait with a command (warm.cc). Pre of all: locked.
    struct WarmPool {
        WarmCommand how;
        PoolDemand demand;
        std::deque<BoxPtr> boxes = {};
        base::Instant not_before = {};  ///< it failed: not tried again at once
    };
    void fill_warm(Lock& lock);
    bool warm_up(Lock& lock, WarmPool& pool);
    /// False when its command has ended.
    static bool is_warm(const Box& box);
    static bool is_untouched(const Box& box);
    /// `box` changes places with one that waits with this command, which is then the caller's; 0
    /// without such a box, or when what it waits with is not what `spec` would start in `box`.
    ExecId take_warm(BoxPtr& box, const ExecSpec& spec, ExecSink& sink);
    BoxPtr pick_warm(WarmPool& pool, const Box& box, const ExecSpec& spec);
    void change_places(BoxPtr& box, const BoxPtr& warm);
    /// Has the keeper end it.
    void discard(const BoxPtr& box);
    void on_warmth(const BoxPtr& box, std::uint32_t events);

    // Forks of running commands (forks.cc).
    struct Forked;
    base::Result<Forked> await_fork(int parent, int child) const;
    base::Result<void> move_to_group(const Box& box, const ExecGroup& group,
                                     const Forked& forked) const;

    // Starting commands (commands.cc).
    static std::unique_ptr<Exec> make_exec(const ExecSpec& spec, ExecSink& sink);
    /// Begins it and waits until it runs. Lets go of the lock meanwhile.
    base::Result<ExecId> begin_command(Lock& lock, const BoxPtr& box, std::unique_ptr<Exec> made,
                                       const ExecSpec& spec, const int (&ends)[3]);
    /// Waits until an exec of the table has started. What did not is taken away.
    base::Result<ExecId> await_start(Lock& lock, const BoxPtr& box, ExecId number,
                                     const ExecSpec& spec);
    /// The box, once no snapshot holds it, when it takes commands and no stop forbids it.
    base::Result<BoxPtr> find_ready(Lock& lock, const SandboxId& id) const;
    static base::Result<void> check_ready(const Box& box);
    base::Result<void> open_streams(Exec& exec, const ExecSpec& spec, int (&ends)[3]);
    launcher::ProcessLimits process_limits(const Box& box) const;
    /// By the init. Pre: locked.
    base::Result<Words> words_of(const Box& box, const ExecSpec& spec) const;
    base::Result<void> send_start(Box& box, Exec& exec, const ExecSpec& spec, const int (&ends)[3]);
    /// Gives the command to the process that waits for it, if there is one and it still does; the
    /// command's number, or 0 with `made` as it was. Lets go of the lock meanwhile.
    ExecId start_prepared(Lock& lock, const BoxPtr& box, std::unique_ptr<Exec>& made,
                          const ExecSpec& spec, const int (&ends)[3]);
    /// It executes: watches its streams and its time. Pre: locked.
    void on_begun(const BoxPtr& box, Exec& exec);

    // Between commands (prepared.cc). Pre of all: locked, or the box not yet known to others.
    /// Has the init make the next command's process, when nothing runs in the box. Best effort: a
    /// command without one is started by the init.
    void prepare_next(Box& box);
    /// In a moment, or when no more wait for boxes than can be made at once.
    void prepare_later(const Box& box);
    /// Who waits for a box comes before what nobody waits for.
    bool is_rushed() const { return creating_ > processors_; }
    /// A group for a command and its folder, opened. Pre: has_tree().
    static base::Result<base::UniqueFd> take_group(Box& box, ExecGroup& group);
    /// To the next command when it is empty, else as soon as it is.
    static void return_group(Box& box, ExecGroup group);
    /// Pre: it is empty; what was in it used so much.
    static void reuse_group(Box& box, ExecGroup group, std::uint64_t used_us);
    static void reclaim_groups(Box& box);
    /// What became of a prepared process that was sent its Start.
    enum class Answer { waits, executed, refused, ended_before };
    static Answer peek_answer(int socket);

    // The loop (loop.cc).
    void run_loop();
    void watch(WatchedFd& fd, Watch::Kind kind, const BoxPtr& box, ExecId exec);
    void unwatch(WatchedFd& fd);
    void handle(std::uint64_t token, std::uint32_t events);
    void on_launcher();
    void on_init(const BoxPtr& box);
    void on_life(const BoxPtr& box);
    void on_stream(const Watch& stream, std::uint32_t events);
    /// Has the loop write what waits. Pre: locked.
    void want_input(const BoxPtr& box, Exec& exec);
    void write_input(const BoxPtr& box, Exec& exec);
    /// False when the stream has ended.
    bool read_output(Box& box, Exec& exec, Stream stream);
    void drain(Box& box, Exec& exec);
    void on_exited(const BoxPtr& box, const launcher::Exited& exited);
    void report(Box& box, Exec& exec, const launcher::Exited* exited);
    void close_streams(Exec& exec);
    void run_timers();
    void on_due(const BoxPtr& box, Exec& exec, base::Instant now);
    void end_exec(Box& box, Exec& exec, EndReason reason);
    /// Wakes the loop when it would sleep for too long. Pre: locked.
    void set_due(Box& box, Exec& exec, base::Instant due);
    int wait_ms();
    void wake();

    void run_keeper();
    void fill_pool(Lock& lock);
    void end_expired(Lock& lock);
    void remove_graves(Lock& lock);

    const SphereOptions options_;
    const base::Clock& clock_;
    const ProbeAnswers answers_;
    const Isolation level_;   ///< of all boxes of this sphere: full, or process
    std::string box_folder_;  ///< of level process: where boxes' files are
    images::ImageStore images_;
    const SnapshotStore kept_;
    std::mutex loading_;  ///< one snapshot at a time comes from disk; taken before mutex_
    const SandboxSpec default_spec_;
    GroupTree groups_;
    SpareGroups spare_groups_;
    StateFile state_;
    base::UniqueFd launcher_;
    int launcher_pid_ = 0;

    std::atomic<std::uint64_t> layer_bytes_ = 0;  ///< of all layers there are; outlives them
    mutable std::mutex mutex_;
    std::map<SandboxId, BoxPtr> boxes_;                    ///< published
    std::unordered_map<std::uint64_t, BoxPtr> by_number_;  ///< every one not buried
    std::deque<BoxPtr> pool_;
    PoolDemand demand_;
    std::vector<WarmPool> warm_;                  ///< by SphereOptions::warm_commands
    std::vector<base::UniqueFd> spare_networks_;  ///< namespaces whose boxes have ended
    std::vector<BoxPtr> discarded_;               ///< untold; the keeper ends them
    std::vector<BoxPtr> graves_;     ///< dead, out of the tables; the keeper removes their groups
    std::deque<SandboxInfo> ended_;  ///< the latest, so that a known id stays known
    std::vector<StopScope> stops_;
    std::map<SnapshotId, KeptSnapshot> snapshots_;
    std::map<SnapshotId, Beginning> loaded_;  ///< of snapshots on disk: those in memory too
    std::map<std::uint64_t, std::optional<LauncherAnswer>> asked_;
    std::uint64_t next_request_ = 1;
    std::condition_variable answered_;
    std::uint64_t next_box_ = 1, next_token_ = 1;
    std::uint32_t making_ = 0;    ///< for the pool
    std::uint32_t creating_ = 0;  ///< for callers who wait
    /// More at once would only wait for each other, in the kernel and in no order.
    const std::uint32_t processors_ = std::max(1u, std::thread::hardware_concurrency());
    Turns turns_{2 * processors_};
    bool launcher_gone_ = false, stopping_ = false;
    std::unordered_map<std::uint64_t, Watch> watches_;
    std::set<std::tuple<base::Instant, std::uint64_t, ExecId>> dues_;  ///< when to look at an exec
    base::Instant loop_sleeps_until_ = base::Instant::never();

    std::mutex broker_mutex_;  ///< for making it; taken before mutex_ or without it
    std::unique_ptr<egress::Broker> broker_;

    base::UniqueFd epoll_, wake_;
    std::thread loop_, keeper_;
    std::condition_variable keeper_wakes_;
    std::atomic<bool> loop_stops_ = false;
    std::vector<char> buffer_;       ///< the loop's, for streams
    std::vector<std::byte> packet_;  ///< the loop's, for sockets
};

}  // namespace sphere::native
