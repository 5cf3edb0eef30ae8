#pragma once
// A machine whose runtime runs in a stage (launcher/stage.h): in control groups of its own, with
// mounts and processes that the kernel takes away with it. The agent's stream is the runtime's
// stdin and stdout unless a backend says otherwise.

#include "sphere/guest/group_home.h"
#include "sphere/guest/machine.h"

namespace sphere::guest {

struct StagePlan {
    std::string config;  ///< config.json; may be empty
    std::string root;    ///< a folder; empty: the host's system
    std::uint64_t workspace_bytes = 0, inodes = 0;
    std::vector<std::string> command;  ///< the runtime's path and arguments
};

class Staged : public Machine {
public:
    explicit Staged(native::BoxGroups groups) : groups_(std::move(groups)) {}
    ~Staged() override;
    Staged(const Staged&) = delete;
    Staged& operator=(const Staged&) = delete;

    /// Returns when the stage stands and the runtime begins. Errors: failed_precondition, with
    /// subject root.path for a root that cannot be one; unavailable.
    base::Result<void> begin(const GroupHome& home, const StagePlan& plan);

    int to_agent() const override { return to_.get(); }
    int from_agent() const override { return from_.get(); }
    base::Result<void> freeze(bool frozen) override;
    void kill() override;
    Usage usage() const override;
    base::Result<base::UniqueFd> open_workspace() const override;
    std::string last_words() const override;

protected:
    int workspace() const { return workspace_.get(); }
    /// Whether everything in the stage has ended.
    bool over() const;
    base::UniqueFd to_, from_;  ///< neither blocks

private:
    base::Result<void> wait_prepared(const StagePlan& plan);

    native::BoxGroups groups_;
    int pid_ = 0;
    base::UniqueFd control_, workspace_, words_;
};

}  // namespace sphere::guest
