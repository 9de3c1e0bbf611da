/** How many of the partitions a member should own: even shares, the remainder to the first by name. */
export function fairShare(partitions: number, members: readonly string[], member: string): number {
  const rank = [...members].sort().indexOf(member)
  if (rank === -1) return 0
  return Math.floor(partitions / members.length) + (rank < partitions % members.length ? 1 : 0)
}
