import { crd, rootSchema } from './crds/generate/crd.ts'
import { stringify } from 'yaml'
const c = crd('VirtualMCPServer')
console.log('json', JSON.stringify(c).length, 'yaml', stringify(c,{lineWidth:0,aliasDuplicateObjects:false}).length, 'indent1', stringify(c,{lineWidth:0,aliasDuplicateObjects:false,indent:1,indentSeq:false}).length, 'indentSeq', stringify(c,{lineWidth:0,aliasDuplicateObjects:false,indentSeq:false}).length)
function sizes(n: any, path: string, depth: number) { if (depth>3) return; const s = JSON.stringify(n).length; if (s>3000) console.log(' '.repeat(depth*2), path, s); for (const [k,v] of Object.entries(n.properties ?? {})) sizes(v, k, depth+1); if (n.items) sizes(n.items, path+'[]', depth+1); if (n.additionalProperties) sizes(n.additionalProperties, path+'.*', depth+1) }
sizes(rootSchema('VirtualMCPServer'), 'root', 0)
