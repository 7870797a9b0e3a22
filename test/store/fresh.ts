// Keys that no other test of any process uses, so that adapters may keep their data between tests.

let keys = 0

export function fresh(what = 'key'): string {
  return `contract/${what}-${process.pid}-${keys++}`
}
